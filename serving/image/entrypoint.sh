#!/bin/sh
# The contract of tensorflow/serving: the ports, the two variables, and whatever else is appended.
# The daemon publishes the ports, so the server listens on every address inside.
exec python3 -m serving.embedded --host=0.0.0.0 --port=8500 --rest_api_port=8501 \
  --model_name="${MODEL_NAME}" --model_base_path="${MODEL_BASE_PATH}/${MODEL_NAME}" "$@"
