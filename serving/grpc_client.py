"""The gRPC door of a model server: Predict, and the state of a version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import grpc

from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Signature, Tensors
from pipeline.core.target import Answers, RuntimeInfo
from serving.answers import in_batches
from serving.diagnosis import lost
from serving.engines.contract import RunningServer
from serving.protos import enum_numbers, message
from serving.tensors import from_proto, to_proto

_OPTIONS = (
    # A batch of images is soon larger than gRPC's 4 MB.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # The port opens late; gRPC's own pauses between tries grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    # Despite its name, the time that one try to connect may take; a busy machine needs more than a moment.
    ("grpc.min_reconnect_backoff_ms", 5000),
    # The server is on this machine or named by address: a company's proxy has no business in between.
    ("grpc.enable_http_proxy", 0),
)


@contextmanager
def channel_to(address: str) -> Iterator[grpc.Channel]:
    """An open channel to `host:port`. It connects when it is used, again and again if need be."""
    channel = grpc.insecure_channel(address, options=_OPTIONS)
    try:
        yield channel
    finally:
        channel.close()


@dataclass(frozen=True, kw_only=True)
class VersionState:
    """What a server says about a version. `error` is that of a failed load, which leaves it in state END."""

    state: str
    error: str


def version_states(
    channel: grpc.Channel, *, model: str, within_seconds: float
) -> tuple[Mapping[int, VersionState], str]:
    """The state of each version that the server knows of, or none and in words what it answered instead."""
    call = unary(channel, "ModelService/GetModelStatus", "GetModelStatusResponse")
    request = message("tensorflow.serving.GetModelStatusRequest")()
    request.model_spec.name = model
    try:
        answer = call(request, timeout=within_seconds)
    except grpc.RpcError as error:
        return {}, _sentence(error)
    names = {number: name for name, number in enum_numbers("tensorflow.serving.ModelVersionStatus.State").items()}
    states = {
        int(status.version): VersionState(state=names[status.state], error=status.status.error_message)
        for status in answer.model_version_status
    }
    return states, ", ".join(f"version {number} is {state.state}" for number, state in states.items())


@dataclass(frozen=True, kw_only=True, eq=False)
class GrpcRunner:
    """Asks one version of a served model over one channel."""

    info: RuntimeInfo
    server: RunningServer
    channel: grpc.Channel
    model: str
    version: int
    signature: Signature
    call_within_seconds: float

    def run(self, samples: Tensors, *, batch_size: int) -> Answers:
        return in_batches(
            samples, batch_size=batch_size, signature=self.signature, server=self._label, ask=self._prepared
        )

    def another_client(self) -> AbstractContextManager[GrpcRunner]:
        """The same: a channel carries the calls of any number of threads side by side."""
        return nullcontext(self)

    @property
    def _label(self) -> str:
        return f"{self.server.label} over gRPC"

    def _prepared(self, batch: Tensors) -> Callable[[], Callable[[], Tensors]]:
        request = message("tensorflow.serving.PredictRequest")()
        request.model_spec.name = self.model
        request.model_spec.version.value = self.version
        request.model_spec.signature_name = self.signature.name
        for spec in self.signature.inputs:
            try:
                request.inputs[spec.name].CopyFrom(to_proto(batch[spec.name], spec.dtype))
            except ValueError as error:
                raise TargetFailed(f"{self._label}: input {spec.name}: {error}", hint=_BAD_REQUEST) from error
        predict = unary(self.channel, "PredictionService/Predict", "PredictResponse")

        def call() -> Callable[[], Tensors]:
            try:
                answer = predict(request, timeout=self.call_within_seconds)
            except grpc.RpcError as error:
                raise self._failed(error) from error
            return lambda: self._read(answer)

        return call

    def _failed(self, error: grpc.RpcError) -> TargetFailed:
        transport = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
        if error.code() in transport:
            return lost(self.server, doing="while it was asked over gRPC", reason=_sentence(error))
        return TargetFailed(f"{self._label} refused a request: {_sentence(error)}", hint=_BAD_REQUEST)

    def _read(self, answer: Any) -> Tensors:
        try:
            return {name: from_proto(proto) for name, proto in answer.outputs.items()}
        except ValueError as error:
            raise TargetFailed(f"{self._label}: {error}", hint="over REST the same model may answer") from error


_BAD_REQUEST = "the served model's signature and the artifact's do not fit; run `tripoint run` again to export it anew"


def unary(channel: grpc.Channel, method: str, response: str) -> Any:
    """The call of a method of TensorFlow Serving, such as `PredictionService/Predict`, on this channel."""
    kind = message(f"tensorflow.serving.{response}")
    return channel.unary_unary(
        f"/tensorflow.serving.{method}",
        request_serializer=lambda one: one.SerializeToString(),
        response_deserializer=kind.FromString,
    )


def _sentence(error: grpc.RpcError) -> str:
    return f"{error.code().name}: {error.details()}"
