"""The gRPC door: PredictionService, ModelService and the health service on grpcio's threads."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import grpc

from serving.embedded import status_api
from serving.embedded.example_inference import (
    ExampleTask,
    classify_into,
    example_task,
    multi_inference_tasks,
    prepare_examples,
    regress_into,
    serialized_examples,
)
from serving.embedded.inference import (
    Call,
    arrays_from_protos,
    predict_signature,
    prepare_predict,
)
from serving.embedded.models import models_from_proto
from serving.embedded.signatures import CLASSIFY, DEFAULT_SIGNATURE, REGRESS
from serving.embedded.status import Code, ServingError, invalid
from serving.embedded.tensors import proto_into

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from serving.embedded.manager import Manager
    from serving.embedded.metrics import Metrics
    from serving.embedded.run import Runner
    from serving.embedded.servable import Servable

log = logging.getLogger("serving.embedded")

_LONGEST_MESSAGE = 1024
_GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}


class GrpcDoor:
    """The operations behind the RPCs: request protos in, response protos out. Raises ServingError."""

    def __init__(
        self, manager: Manager, runner: Runner, metrics: Metrics, reload: Callable[[tuple[Any, ...]], None]
    ) -> None:
        self._manager = manager
        self._runner = runner
        self._metrics = metrics
        self._reload = reload

    def predict(self, request: Any) -> Any:
        from tensorflow_serving.apis import predict_pb2

        servable = self._lookup(request.model_spec)
        try:
            signature = predict_signature(servable, request.model_spec.signature_name)
            arrays = arrays_from_protos(request.inputs, signature.inputs)
            call = prepare_predict(servable, signature, arrays, request.output_filter, given=request.inputs)
            outputs = self._run(servable, call, "Predict")
        finally:
            servable.release()
        response = predict_pb2.PredictResponse()
        self._fill_spec(response.model_spec, servable, signature.name)
        for alias, array in zip(call.aliases, outputs, strict=True):
            proto_into(response.outputs[alias], array)
        return response

    def classify(self, request: Any) -> Any:
        from tensorflow_serving.apis import classification_pb2

        response = classification_pb2.ClassificationResponse()
        self._examples(request, CLASSIFY, response, classify_into)
        return response

    def regress(self, request: Any) -> Any:
        from tensorflow_serving.apis import regression_pb2

        response = regression_pb2.RegressionResponse()
        self._examples(request, REGRESS, response, regress_into)
        return response

    def _examples(
        self,
        request: Any,
        method: str,
        response: Any,
        fill: Callable[[Any, ExampleTask, dict[str, np.ndarray], int], None],
    ) -> None:
        servable = self._lookup(request.model_spec)
        try:
            name = request.model_spec.signature_name
            task = example_task(servable, name, method, unknown="No signature was found with the name")
            outputs, count = self._run_examples(servable, [task], request.input, method)
        finally:
            servable.release()
        fill(response.result, task, outputs, count)
        self._fill_spec(response.model_spec, servable, task.signature.name)

    def multi_inference(self, request: Any) -> Any:
        from tensorflow_serving.apis import inference_pb2

        first = request.tasks[0].model_spec if request.tasks else None
        if first is None:
            raise invalid("ModelSpec has no name specified.")
        servable = self._lookup(first)
        try:
            tasks = multi_inference_tasks(servable, request.tasks)
            outputs, count = self._run_examples(servable, tasks, request.input, "MultiInference")
        finally:
            servable.release()
        response = inference_pb2.MultiInferenceResponse()
        for asked, task in zip(request.tasks, tasks, strict=True):
            result = response.results.add()
            if task.method == CLASSIFY:
                classify_into(result.classification_result, task, outputs, count)
            else:
                regress_into(result.regression_result, task, outputs, count)
            self._fill_spec(result.model_spec, servable, asked.model_spec.signature_name or DEFAULT_SIGNATURE)
        return response

    def model_metadata(self, request: Any) -> Any:
        status_api.check_metadata_fields(request)
        servable = self._lookup(request.model_spec)
        try:
            return status_api.model_metadata(servable)
        finally:
            servable.release()

    def model_status(self, request: Any) -> Any:
        return status_api.model_status(self._manager, request.model_spec)

    def reload_config(self, request: Any) -> Any:
        from tensorflow_serving.apis import model_management_pb2

        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
                "supported"
            )
        self._reload(models_from_proto(request.config))
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        return response

    def _lookup(self, model_spec: Any) -> Servable:
        return self._manager.lookup(model_spec.name, status_api.asked_version(model_spec), model_spec.version_label)

    def _run(self, servable: Servable, call: Call, api: str) -> list[np.ndarray]:
        started = time.perf_counter()
        outputs = self._runner.run(call)
        micros = (time.perf_counter() - started) * 1e6
        self._metrics.runtime_latency.observe(servable.name, api, "TF1", value=micros)
        return outputs

    def _run_examples(
        self, servable: Servable, tasks: list[ExampleTask], given: Any, method: str
    ) -> tuple[dict[str, np.ndarray], int]:
        examples = serialized_examples(given)
        call = prepare_examples(servable, tasks, examples)
        self._metrics.examples.add(servable.name, by=len(examples))
        self._metrics.example_counts.observe(servable.name, value=len(examples))
        outputs = self._run(servable, call, method.rpartition("/")[2].capitalize())
        return dict(zip(call.aliases, outputs, strict=True)), len(examples)

    @staticmethod
    def _fill_spec(spec: Any, servable: Servable, signature_name: str) -> None:
        spec.name = servable.name
        spec.version.value = servable.version
        spec.signature_name = signature_name


def add_services(server: Any, door: GrpcDoor, metrics: Metrics) -> None:
    """Put the two services on a grpcio server, by their own stubs' method names and serializers."""
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]  # untyped
        Predict = _rpc(door.predict, metrics, "Predict")
        Classify = _rpc(door.classify, metrics, "Classify")
        Regress = _rpc(door.regress, metrics, "Regress")
        MultiInference = _rpc(door.multi_inference, metrics, "MultiInference")
        GetModelMetadata = _rpc(door.model_metadata, metrics, "")

    class Model(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]  # untyped
        GetModelStatus = _rpc(door.model_status, metrics, "")
        HandleReloadConfigRequest = _rpc(door.reload_config, metrics, "")

    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Model(), server)


def _rpc(operation: Callable[[Any], Any], metrics: Metrics, api: str) -> Callable[[Any, Any, Any], Any]:
    def answer(_: Any, request: Any, context: grpc.ServicerContext) -> Any:
        started = time.perf_counter()
        name = _model_name(request)
        try:
            response = operation(request)
        except ServingError as error:
            if api:
                metrics.requests.add(name, error.code.name)
            context.abort(_GRPC_CODES[error.code.value], _shortened(error.message))
        except Exception:
            # A fault of ours: the client must hear of it, and the log must explain it.
            log.exception("a request failed")
            context.abort(grpc.StatusCode.INTERNAL, "Internal error; the server's log has the details")
        if api:
            metrics.requests.add(name, Code.OK.name)
            micros = (time.perf_counter() - started) * 1e6
            metrics.request_latency.observe(name, api, "GRPC", value=micros)
        return response

    return answer


def _model_name(request: Any) -> str:
    """The model that a prediction is asked of, for the metrics."""
    spec = request.tasks[0].model_spec if getattr(request, "tasks", None) else getattr(request, "model_spec", None)
    return spec.name if spec is not None else ""


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "...TRUNCATED"
