"""How RPCs are called: grpcio's asyncio handlers, which run operations without holding their event loop up."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from serving.embedded.status import Code, ServingError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from concurrent.futures import Executor

    import numpy as np

    from serving.embedded.grpc_service import GrpcDoor, Prepared
    from serving.embedded.metrics import Metrics
    from serving.embedded.run import Runner

    Handler = Callable[[Any | None, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]

log = logging.getLogger("serving.embedded")

_LONGEST_MESSAGE = 1024
_GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}
_BIG_REQUEST = 1024 * 1024
"""Requests of so many bytes are read on another thread, so that the loop stays free."""
_BIG_OUTPUT = 250_000
"""Outputs of more elements are written on another thread, for the same reason."""


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


def _model_name(request: Any) -> str:
    """The model that a prediction is asked of, for the metrics."""
    spec = request.tasks[0].model_spec if getattr(request, "tasks", None) else getattr(request, "model_spec", None)
    return spec.name if spec is not None else ""


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "...TRUNCATED"
