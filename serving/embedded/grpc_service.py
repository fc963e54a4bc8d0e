"""The gRPC door: PredictionService, ModelService and the health service on grpcio's asyncio server."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
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
    from collections.abc import Awaitable, Callable, Mapping
    from concurrent.futures import Executor

    import numpy as np

    from serving.embedded.manager import Manager
    from serving.embedded.metrics import Metrics
    from serving.embedded.run import Runner
    from serving.embedded.servable import Servable

log = logging.getLogger("serving.embedded")

_LONGEST_MESSAGE = 1024
_GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}
_BIG_REQUEST = 1024 * 1024
"""Requests of so many bytes are read on another thread, so that the loop stays free."""
_BIG_OUTPUT = 250_000
"""Outputs of more elements are written on another thread, for the same reason."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Rpcs:
    """Turns operations into RPC handlers on an event loop, which none of them blocks for long.

    `threads` take what would: big messages, and waits.
    """

    loop: asyncio.AbstractEventLoop
    runner: Runner
    metrics: Metrics
    threads: Executor

    def inference(self, operation: Callable[[Any], Prepared], api: str) -> Handler:
        async def answer(request: Any) -> Any:
            if request.ByteSize() < _BIG_REQUEST:
                prepared = operation(request)
            else:
                prepared = await self.loop.run_in_executor(self.threads, operation, request)
            outputs = await self._outputs(prepared)
            if sum(output.size for output in outputs) < _BIG_OUTPUT:
                return prepared.respond(outputs)
            return await self.loop.run_in_executor(self.threads, prepared.respond, outputs)

        return self._handler(answer, api)

    def quick(self, operation: Callable[[Any], Any]) -> Handler:
        async def answer(request: Any) -> Any:
            return operation(request)

        return self._handler(answer, "")

    def waiting(self, operation: Callable[[Any], Any]) -> Handler:
        async def answer(request: Any) -> Any:
            return await self.loop.run_in_executor(self.threads, operation, request)

        return self._handler(answer, "")

    async def _outputs(self, prepared: Prepared) -> list[np.ndarray]:
        outcome: asyncio.Future[list[np.ndarray] | ServingError] = self.loop.create_future()
        started = time.perf_counter()

        def settle(found: list[np.ndarray] | ServingError) -> None:
            # A client that went away has cancelled it.
            if not outcome.done():
                outcome.set_result(found)

        def done(found: list[np.ndarray] | ServingError) -> None:
            micros = (time.perf_counter() - started) * 1e6
            self.metrics.runtime_latency.observe(prepared.servable.name, prepared.api, "TF1", value=micros)
            prepared.servable.release()
            self.loop.call_soon_threadsafe(settle, found)

        self.runner.submit(prepared.call, done)
        found = await outcome
        if isinstance(found, ServingError):
            raise found
        return found

    def _handler(self, answer: Callable[[Any], Awaitable[Any]], api: str) -> Handler:
        async def handle(request: Any | None, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            started = time.perf_counter()
            if request is None:
                await context.abort(grpc.StatusCode.INTERNAL, "Exception deserializing request!")
            name = _model_name(request)
            try:
                response = await answer(request)
            except ServingError as error:
                if api:
                    self.metrics.requests.add(name, error.code.name)
                await context.abort(_GRPC_CODES[error.code.value], _shortened(error.message))
            except Exception:
                # A fault of ours: the client must hear of it, and the log must explain it.
                log.exception("a request failed")
                await context.abort(grpc.StatusCode.INTERNAL, "Internal error; the server's log has the details")
            if api:
                self.metrics.requests.add(name, Code.OK.name)
                micros = (time.perf_counter() - started) * 1e6
                self.metrics.request_latency.observe(name, api, "GRPC", value=micros)
            return response

        return handle


if TYPE_CHECKING:
    Handler = Callable[[Any | None, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]


def add_services(server: Any, door: GrpcDoor, rpcs: Rpcs) -> None:
    """Put the two services on a grpcio server, with the messages of their own descriptors."""
    from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

    _add_service(
        server,
        prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"],
        {
            "Predict": rpcs.inference(door.predict, "Predict"),
            "Classify": rpcs.inference(door.classify, "Classify"),
            "Regress": rpcs.inference(door.regress, "Regress"),
            "MultiInference": rpcs.inference(door.multi_inference, "MultiInference"),
            "GetModelMetadata": rpcs.quick(door.model_metadata),
        },
    )
    _add_service(
        server,
        model_service_pb2.DESCRIPTOR.services_by_name["ModelService"],
        {
            "GetModelStatus": rpcs.quick(door.model_status),
            "HandleReloadConfigRequest": rpcs.waiting(door.reload_config),
        },
    )


def _add_service(server: Any, service: Any, handlers: Mapping[str, Handler]) -> None:
    from google.protobuf.message_factory import GetMessageClass

    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                service.full_name,
                {
                    name: grpc.unary_unary_rpc_method_handler(
                        handler,
                        request_deserializer=_readable(GetMessageClass(service.methods_by_name[name].input_type)),
                        response_serializer=lambda response: response.SerializeToString(),
                    )
                    for name, handler in handlers.items()
                },
            ),
        )
    )


def _readable(message: Any) -> Callable[[bytes], Any]:
    """What reads a request; None for bytes that are none, which grpcio's asyncio server would call UNKNOWN."""
    from google.protobuf.message import DecodeError

    def read(content: bytes) -> Any | None:
        try:
            return message.FromString(content)
        except DecodeError:
            return None

    return read


def _fill_spec(spec: Any, servable: Servable, signature_name: str) -> None:
    spec.name = servable.name
    spec.version.value = servable.version
    spec.signature_name = signature_name


def _model_name(request: Any) -> str:
    """The model that a prediction is asked of, for the metrics."""
    spec = request.tasks[0].model_spec if getattr(request, "tasks", None) else getattr(request, "model_spec", None)
    return spec.name if spec is not None else ""


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "...TRUNCATED"
