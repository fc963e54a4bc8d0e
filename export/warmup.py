"""Warmup requests: what a model server replays before it calls a version available; no user waits for tracing then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.core.signature import Tensors, batches

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"


def write_warmup_requests(
    saved_model: Path,
    *,
    model_name: str,
    signature_name: str,
    input_names: Sequence[str],
    samples: Tensors,
    batch_size: int = 1,
) -> None:
    """Write one Predict request a batch into the SavedModel, in the file that TensorFlow Serving looks for."""
    import tensorflow as tf
    from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

    file = saved_model / WARMUP_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for sample in batches(samples, batch_size):
            request = predict_pb2.PredictRequest(
                model_spec=model_pb2.ModelSpec(name=model_name, signature_name=signature_name),
                inputs={name: tf.make_tensor_proto(sample[name]) for name in input_names},
            )
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString(deterministic=True))
