"""What the RPCs do, as operations on protos: PredictionService and ModelService, however they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from serving.embedded.status import invalid
from serving.embedded.tensors import proto_into

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from serving.embedded.manager import Manager
    from serving.embedded.metrics import Metrics
    from serving.embedded.servable import Servable


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A request that has passed all checks: the run that it needs, and what makes its response of the outputs.

    `servable` is held until the run is over.
    """

    servable: Servable
    call: Call
    api: str
    respond: Callable[[list[np.ndarray]], Any]


class GrpcDoor:
    """The operations behind the RPCs: request protos in; `Prepared`, or the response proto itself, out.

    Each raises ServingError.
    """

    def __init__(self, manager: Manager, metrics: Metrics, reload: Callable[[tuple[Any, ...]], None]) -> None:
        self._manager = manager
        self._metrics = metrics
        self._reload = reload

    def predict(self, request: Any) -> Prepared:
        from tensorflow_serving.apis import predict_pb2

        servable = self._lookup(request.model_spec)
        try:
            signature = predict_signature(servable, request.model_spec.signature_name)
            arrays = arrays_from_protos(request.inputs, signature.inputs)
            call = prepare_predict(servable, signature, arrays, request.output_filter, given=request.inputs)
        except BaseException:
            servable.release()
            raise

        def respond(outputs: list[np.ndarray]) -> Any:
            response = predict_pb2.PredictResponse()
            _fill_spec(response.model_spec, servable, signature.name)
            for alias, array in zip(call.aliases, outputs, strict=True):
                proto_into(response.outputs[alias], array)
            return response

        return Prepared(servable=servable, call=call, api="Predict", respond=respond)

    def classify(self, request: Any) -> Prepared:
        from tensorflow_serving.apis import classification_pb2

        return self._examples(request, CLASSIFY, classification_pb2.ClassificationResponse, classify_into)

    def regress(self, request: Any) -> Prepared:
        from tensorflow_serving.apis import regression_pb2

        return self._examples(request, REGRESS, regression_pb2.RegressionResponse, regress_into)

    def _examples(
        self,
        request: Any,
        method: str,
        response_of: Callable[[], Any],
        fill: Callable[[Any, ExampleTask, dict[str, np.ndarray], int], None],
    ) -> Prepared:
        servable = self._lookup(request.model_spec)
        try:
            name = request.model_spec.signature_name
            task = example_task(servable, name, method, unknown="No signature was found with the name")
            call, count = self._prepared_examples(servable, [task], request.input)
        except BaseException:
            servable.release()
            raise

        def respond(outputs: list[np.ndarray]) -> Any:
            response = response_of()
            fill(response.result, task, dict(zip(call.aliases, outputs, strict=True)), count)
            _fill_spec(response.model_spec, servable, task.signature.name)
            return response

        return Prepared(servable=servable, call=call, api=method.rpartition("/")[2].capitalize(), respond=respond)

    def multi_inference(self, request: Any) -> Prepared:
        from tensorflow_serving.apis import inference_pb2

        first = request.tasks[0].model_spec if request.tasks else None
        if first is None:
            raise invalid("ModelSpec has no name specified.")
        servable = self._lookup(first)
        try:
            tasks = multi_inference_tasks(servable, request.tasks)
            call, count = self._prepared_examples(servable, tasks, request.input)
        except BaseException:
            servable.release()
            raise

        def respond(outputs: list[np.ndarray]) -> Any:
            named = dict(zip(call.aliases, outputs, strict=True))
            response = inference_pb2.MultiInferenceResponse()
            for asked, task in zip(request.tasks, tasks, strict=True):
                result = response.results.add()
                if task.method == CLASSIFY:
                    classify_into(result.classification_result, task, named, count)
                else:
                    regress_into(result.regression_result, task, named, count)
                _fill_spec(result.model_spec, servable, asked.model_spec.signature_name or DEFAULT_SIGNATURE)
            return response

        return Prepared(servable=servable, call=call, api="Multiinference", respond=respond)

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

    def _prepared_examples(self, servable: Servable, tasks: list[ExampleTask], given: Any) -> tuple[Call, int]:
        examples = serialized_examples(given)
        call = prepare_examples(servable, tasks, examples)
        self._metrics.examples.add(servable.name, by=len(examples))
        self._metrics.example_counts.observe(servable.name, value=len(examples))
        return call, len(examples)


def _fill_spec(spec: Any, servable: Servable, signature_name: str) -> None:
    spec.name = servable.name
    spec.version.value = servable.version
    spec.signature_name = signature_name
