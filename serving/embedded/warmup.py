"""Replays the requests that a SavedModel carries in `assets.extra`, so that the first client does not wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from serving.embedded.example_inference import (
    example_task,
    multi_inference_tasks,
    prepare_examples,
    serialized_examples,
)
from serving.embedded.inference import arrays_from_protos, predict_signature, prepare_predict
from serving.embedded.signatures import CLASSIFY, REGRESS
from serving.embedded.status import Code, ServingError

if TYPE_CHECKING:
    from serving.embedded.inference import Call
    from serving.embedded.metrics import Metrics
    from serving.embedded.servable import Servable

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000


def warm_up(servable: Servable, metrics: Metrics, iterations: int) -> None:
    """Run every record of the warmup file, if there is one. Raises ServingError where a record is wrong."""
    path = servable.path / WARMUP_FILE
    if not path.is_file():
        return
    started = time.perf_counter()
    for number, record in enumerate(_records(str(path))):
        if number == MAX_RECORDS:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}",
            )
        call = _call(servable, record)
        if call is not None:
            for _ in range(iterations):
                call.run()
        metrics.warmup_records.add(str(servable.path))
    metrics.warmup_latency.observe(str(servable.path), "OK", value=(time.perf_counter() - started) * 1e6)


def _records(path: str) -> Any:
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    iterator = tf.compat.v1.io.tf_record_iterator(path)
    while True:
        try:
            yield prediction_log_pb2.PredictionLog.FromString(next(iterator))
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001  # a damaged file, or records that are no PredictionLog
            raise ServingError(Code.DATA_LOSS, f"Failed to read warmup record at {path}: {error}") from None


def _call(servable: Servable, record: Any) -> Call | None:
    match record.WhichOneof("log_type"):
        case "predict_log":
            request = record.predict_log.request
            signature = predict_signature(servable, request.model_spec.signature_name)
            arrays = arrays_from_protos(request.inputs, signature.inputs)
            return prepare_predict(servable, signature, arrays, request.output_filter, given=request.inputs)
        case "classify_log":
            return _examples_call(servable, record.classify_log.request, CLASSIFY)
        case "regress_log":
            return _examples_call(servable, record.regress_log.request, REGRESS)
        case "multi_inference_log":
            request = record.multi_inference_log.request
            tasks = multi_inference_tasks(servable, request.tasks)
            return prepare_examples(servable, tasks, serialized_examples(request.input))
        case "session_run_log":
            return None
        case _:
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {record.WhichOneof('log_type')}")


def _examples_call(servable: Servable, request: Any, method: str) -> Call:
    task = example_task(
        servable, request.model_spec.signature_name, method, unknown="No signature was found with the name"
    )
    return prepare_examples(servable, [task], serialized_examples(request.input))
