"""The life of one request to the model API, from its path and body to its one answer."""

from __future__ import annotations

import logging
import re
import time
import zlib
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.embedded import example_json, status_api
from serving.embedded.http_messages import Request, Response
from serving.embedded.inference import Call, prepare_predict
from serving.embedded.json_write import error_body
from serving.embedded.predict_fast import read_plain_predict
from serving.embedded.predict_read import PredictInputs, read_predict
from serving.embedded.predict_write import write_predictions
from serving.embedded.signatures import DEFAULT_SIGNATURE
from serving.embedded.status import HTTP_STATUS, Code, ServingError, invalid
from serving.embedded.uris import unescaped

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    import numpy as np

    from serving.embedded.manager import Manager
    from serving.embedded.metrics import Metrics
    from serving.embedded.run import Runner
    from serving.embedded.servable import Servable
    from serving.embedded.signatures import TensorSpec

log = logging.getLogger("serving.embedded")

_INFER = re.compile(
    rb"/v1/models/([^/:]+)(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?:(classify|regress|predict)", re.IGNORECASE
)
_DESCRIBE = re.compile(
    rb"/v1/models(?:/([^/:]+))?(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?(?:/(metadata))?", re.IGNORECASE
)
_BIG_BODY = 256 * 1024
"""Bodies from here on are read on another thread, so that the loop stays free."""
_BIG_OUTPUT = 20_000
"""Outputs of more elements are written on the thread that ran them, for the same reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RestContext:
    """What every request works with."""

    manager: Manager
    runner: Runner
    metrics: Metrics
    loop: asyncio.AbstractEventLoop
    readers: Executor
    headers: tuple[tuple[bytes, bytes], ...]
    timeout_seconds: float
    """Of one request; 0 or less: none."""
    max_body_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Model:
    """Whom a request is for."""

    name: str
    version: int | None
    label: str


class _BadVersion(ServingError):
    """A version that is no int64: TensorFlow Serving answers this one without a body."""


class Exchange:
    """One request to the model API and the one answer to it."""

    def __init__(self, context: RestContext, request: Request, path: bytes, answer: Callable[[Response], None]) -> None:
        self._context = context
        self._request = request
        self._path = path
        self._model_name = ""
        self._method = ""
        self._answer: Callable[[Response], None] | None = answer
        self._started = time.perf_counter()
        self._timer: asyncio.TimerHandle | None = None
        self._servable: Servable | None = None

    def begin(self) -> None:
        """Answer now or later, exactly once."""
        try:
            self._dispatch()
        except Exception as error:  # noqa: BLE001  # a fault of ours must not leave the client without an answer
            self.fail(_as_serving_error(error))

    def _dispatch(self) -> None:
        request = self._request
        if request.method == "POST" and (found := _INFER.fullmatch(self._path)):
            model = self._model(found[1], found[2], found[3])
            self._method = found[4].decode()
            if self._method not in ("predict", "classify", "regress"):
                raise self._malformed()
            if self._context.timeout_seconds > 0:
                self._timer = self._context.loop.call_later(self._context.timeout_seconds, self._time_out)
            if len(request.body) > _BIG_BODY:
                self._context.readers.submit(self._infer_elsewhere, model)
            else:
                self._infer(model)
        elif request.method == "GET" and (found := _DESCRIBE.fullmatch(self._path)):
            model = self._model(found[1] or b"", found[2], found[3])
            self.succeed(self._describe(model, metadata=found[4] == b"metadata"))
        else:
            raise self._malformed()

    def _malformed(self) -> ServingError:
        path = self._path.decode("utf-8", "surrogateescape")
        return invalid(f"Malformed request: {self._request.method} {path}")

    def _model(self, name: bytes, version: bytes | None, label: bytes | None) -> _Model:
        self._model_name = unescaped(name)
        if version is not None and int(version) >= 1 << 63:
            raise _BadVersion(Code.INVALID_ARGUMENT, "")
        return _Model(
            name=self._model_name,
            version=None if version is None else int(version),
            label="" if label is None else unescaped(label),
        )

    def _describe(self, model: _Model, *, metadata: bool) -> bytes:
        if not model.name:
            raise invalid("Missing model name in request.")
        manager = self._context.manager
        if metadata:
            servable = manager.lookup(model.name, model.version, model.label)
            try:
                return status_api.model_metadata_json(servable)
            finally:
                servable.release()
        from tensorflow_serving.apis import model_pb2

        spec = model_pb2.ModelSpec(name=model.name)
        if model.version is not None:
            spec.version.value = model.version
        return status_api.model_status_json(status_api.model_status(manager, spec))

    def _infer_elsewhere(self, model: _Model) -> None:
        try:
            self._infer(model)
        except Exception as error:  # noqa: BLE001  # as in `begin`
            self._context.loop.call_soon_threadsafe(self.fail, _as_serving_error(error))

    def _infer(self, model: _Model) -> None:
        body = _decoded_body(self._request, self._context.max_body_bytes)
        self._request.body = b""
        try:
            if self._method == "predict":
                self._predict(model, body)
            else:
                self._examples(model, body)
        except BaseException:
            self._release()
            raise

    def _predict(self, model: _Model, body: bytes) -> None:
        def inputs_of(signature_name: str) -> Mapping[str, TensorSpec]:
            servable = self._hold(model)
            signature = servable.signatures.get(signature_name or DEFAULT_SIGNATURE)
            if signature is None:
                name = signature_name or DEFAULT_SIGNATURE
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            return signature.inputs

        inputs: PredictInputs = read_plain_predict(body, inputs_of) or read_predict(body, inputs_of)
        servable = self._hold(model)
        signature = servable.signatures[inputs.signature_name or DEFAULT_SIGNATURE]
        call = prepare_predict(servable, signature, inputs.arrays)

        def finish(outputs: list[np.ndarray]) -> bytes:
            return write_predictions(dict(zip(call.aliases, outputs, strict=True)), row_format=inputs.row_format)

        self._run(call, finish)

    def _examples(self, model: _Model, body: bytes) -> None:
        asked = example_json.read_examples(body)
        servable = self._hold(model)
        prepared = example_json.prepare(servable, self._method, asked)
        self._context.metrics.examples.add(model.name, by=prepared.count)
        self._context.metrics.example_counts.observe(model.name, value=prepared.count)
        self._run(prepared.call, prepared.finish)

    def _hold(self, model: _Model) -> Servable:
        if self._servable is None:
            self._servable = self._context.manager.lookup(model.name, model.version, model.label)
        return self._servable

    def _release(self) -> None:
        servable, self._servable = self._servable, None
        if servable is not None:
            servable.release()

    def _run(self, call: Call, finish: Callable[[list[np.ndarray]], bytes]) -> None:
        started = time.perf_counter()

        def done(outcome: list[np.ndarray] | ServingError) -> None:
            micros = (time.perf_counter() - started) * 1e6
            self._context.metrics.runtime_latency.observe(
                self._model_name, self._method.capitalize(), "TF1", value=micros
            )
            self._release()
            if isinstance(outcome, list) and sum(output.size for output in outcome) > _BIG_OUTPUT:
                self._context.loop.call_soon_threadsafe(self._end, _written(outcome, finish))
            else:
                self._context.loop.call_soon_threadsafe(lambda: self._end(_written(outcome, finish)))

        self._context.runner.submit(call, done)

    def _end(self, written: bytes | ServingError) -> None:
        if isinstance(written, ServingError):
            self.fail(written)
        else:
            self.succeed(written)

    def _time_out(self) -> None:
        self.fail(ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification"))

    def succeed(self, body: bytes) -> None:
        if self._answer is None:
            return
        metrics = self._context.metrics
        micros = (time.perf_counter() - self._started) * 1e6
        metrics.request_latency.observe(self._model_name, self._method, "REST", value=micros)
        self._send(Code.OK, body)

    def fail(self, error: ServingError) -> None:
        body = b"" if isinstance(error, _BadVersion) else error_body(error.message)
        self._send(error.code, body)

    def _send(self, code: Code, body: bytes) -> None:
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._model_name:
            self._context.metrics.requests.add(self._model_name, code.name)
        answer(Response(status=HTTP_STATUS[code], body=body, headers=self._context.headers))


def _written(
    outcome: list[np.ndarray] | ServingError, finish: Callable[[list[np.ndarray]], bytes]
) -> bytes | ServingError:
    if isinstance(outcome, ServingError):
        return outcome
    try:
        return finish(outcome)
    except Exception as error:  # noqa: BLE001  # a fault of ours must not leave the client without an answer
        return _as_serving_error(error)


def _as_serving_error(error: Exception) -> ServingError:
    if isinstance(error, ServingError):
        return error
    log.error("a request failed", exc_info=error)
    return ServingError(Code.INTERNAL, "Internal error; the server's log has the details")


def _decoded_body(request: Request, limit: int) -> bytes:
    """The body, unpacked if it says that it is gzip; what cannot be unpacked counts as empty, as there."""
    if b"gzip" not in request.headers.get(b"content-encoding", b"") or not request.body:
        return request.body
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(request.body, limit)
    except zlib.error:
        return b""
    return body if unpacker.eof else b""
