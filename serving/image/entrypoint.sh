#!/bin/sh
# The contract of tensorflow/serving: the ports, the two variables, and whatever else is appended.
exec python3 -m serving.embedded --port=8500 --rest_api_port=8501 \
  --model_name="${MODEL_NAME}" --model_base_path="${MODEL_BASE_PATH}/${MODEL_NAME}" "$@"
