"""The REST door of a model server, in row format over one kept connection."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Signature, Tensors, TensorSpec
from pipeline.core.target import Answers, RuntimeInfo
from serving.answers import in_batches
from serving.diagnosis import lost
from serving.engines.contract import RunningServer
from serving.tensors import as_bytes

_BAD_REQUEST = "the served model's signature and the artifact's do not fit; run `tripoint run` again to export it anew"
# By the kind of the signature's dtype. A float without a fraction may be written as an integer.
_KINDS_THAT_FIT = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}
_CHUNK_BYTES = 1 << 20


@contextmanager
def connection_to(address: str) -> Iterator[http.client.HTTPConnection]:
    """A connection to `host:port`, made when it is used."""
    with closing(http.client.HTTPConnection(address)) as connection:
        yield connection


@dataclass(frozen=True, kw_only=True, eq=False)
class RestRunner:
    """Asks one version of a served model over one connection."""

    info: RuntimeInfo
    server: RunningServer
    connection: http.client.HTTPConnection
    model: str
    version: int
    signature: Signature
    call_within_seconds: float

    def run(self, samples: Tensors, *, batch_size: int) -> Answers:
        return in_batches(
            samples, batch_size=batch_size, signature=self.signature, server=self._label, ask=self._prepared
        )

    @contextmanager
    def another_client(self) -> Iterator[RestRunner]:
        """A runner with a connection of its own."""
        with closing(http.client.HTTPConnection(self.connection.host, self.connection.port)) as connection:
            yield replace(self, connection=connection)

    @property
    def _label(self) -> str:
        return f"{self.server.label} over REST"

    def _prepared(self, batch: Tensors) -> Callable[[], Callable[[], Tensors]]:
        body = request_body(batch, self.signature)
        path = f"/v1/models/{self.model}/versions/{self.version}:predict"

        def call() -> Callable[[], Tensors]:
            try:
                status, answer = self._post(path, body)
            except (OSError, http.client.HTTPException) as error:
                self.connection.close()
                reason = f"{type(error).__name__}: {error}"
                raise lost(self.server, doing="while it was asked over REST", reason=reason) from error
            return lambda: self._read(status, answer)

        return call

    def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        # One deadline for the whole call; a time limit on the socket alone would start anew with every byte received.
        deadline = time.monotonic() + self.call_within_seconds
        self._allow(deadline)
        self.connection.request("POST", path, body, {"Content-Type": "application/json"})
        self._allow(deadline)
        chunks = []
        with self.connection.getresponse() as response:
            while chunk := response.read1(_CHUNK_BYTES):
                chunks.append(chunk)
                self._allow(deadline)
        return response.status, b"".join(chunks)

    def _allow(self, deadline: float) -> None:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError(f"no whole answer within {self.call_within_seconds:g} s")
        self.connection.timeout = remaining
        if self.connection.sock is not None:
            self.connection.sock.settimeout(remaining)

    def _read(self, status: int, body: bytes) -> Tensors:
        if status != http.HTTPStatus.OK:
            shown = body[:500].decode(errors="replace")
            raise TargetFailed(f"{self._label} answered with status {status}: {shown}", hint=_BAD_REQUEST)
        try:
            return answer_tensors(body, self.signature)
        except (ValueError, TypeError, KeyError) as error:
            shown = body[:200].decode(errors="replace")
            raise TargetFailed(
                f"{self._label}: the answer cannot be read ({error}): {shown}", hint=_BAD_REQUEST
            ) from error


def request_body(batch: Tensors, signature: Signature) -> bytes:
    """The batch as a predict request in row format: bare values for a single input, an object a row for several."""
    columns = {spec.name: _column(batch[spec.name], spec) for spec in signature.inputs}
    if len(columns) == 1:
        (instances,) = columns.values()
    else:
        names = list(columns)
        instances = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    request = {"signature_name": signature.name, "instances": instances}
    if all(np.isfinite(column).all() for column in columns.values() if isinstance(column, np.ndarray)):
        return orjson.dumps(request, option=orjson.OPT_SERIALIZE_NUMPY)
    # orjson writes null for what is not finite; the server reads the words NaN and Infinity, as Python writes them.
    return json.dumps(request, default=lambda value: value.tolist()).encode()


def answer_tensors(body: bytes, signature: Signature) -> Tensors:
    """The outputs of an answer in row format; raises ValueError, TypeError or KeyError when it is none."""
    try:
        predictions = orjson.loads(body)["predictions"]
    except orjson.JSONDecodeError:
        # NaN and Infinity are not JSON, and a string output need not be UTF-8; Python's own parser takes both.
        predictions = json.loads(body.decode(errors="surrogateescape"))["predictions"]
    if len(signature.outputs) == 1:
        (spec,) = signature.outputs
        return {spec.name: _array(predictions, spec)}
    specs = {spec.name: spec for spec in signature.outputs}
    for position, row in enumerate(predictions):
        if row.keys() != specs.keys():
            raise ValueError(f"row {position} has the outputs {sorted(row)}, expected {sorted(specs)}")
    return {name: _array([row[name] for row in predictions], spec) for name, spec in specs.items()}


def _column(array: NDArray[Any], spec: TensorSpec) -> Any:
    if spec.dtype == "string":
        return _base64(array)
    if array.dtype.kind == "f":
        # A float32 as the double of the same value: its shortest decimal reads back to the same bits through any
        # parser of doubles. The shortest decimal of the float32 itself could be rounded twice on the way.
        return np.ascontiguousarray(array, dtype=np.float64)
    return np.ascontiguousarray(array)


def _base64(array: NDArray[Any]) -> Any:
    if array.ndim == 0:
        return {"b64": base64.b64encode(as_bytes(array.item())).decode()}
    return [_base64(np.asarray(element, dtype=object)) for element in array]


def _array(values: list[Any], spec: TensorSpec) -> NDArray[Any]:
    if spec.dtype == "string":
        return np.asarray(_texts(values), dtype=object)
    # Left to itself, NumPy makes floats of integers above 2^63 beside smaller ones.
    given = np.asarray(values, dtype=np.uint64 if spec.dtype == "uint64" else None)
    wanted = np.dtype(spec.dtype)
    # NumPy would make NaN of null, 1.5 of "1.5" and 1 of 1.5 without a word.
    if given.size and given.dtype.kind not in _KINDS_THAT_FIT[wanted.kind]:
        raise TypeError(f"output {spec.name} should hold {spec.dtype}, and holds {given.dtype}")
    return given.astype(wanted)


def _texts(value: Any) -> Any:
    match value:
        case {"b64": encoded}:
            return base64.b64decode(encoded, validate=True)
        case str():
            return value.encode(errors="surrogateescape")
        case list():
            return [_texts(element) for element in value]
        case _:
            raise TypeError(f"{value!r} is not a string")
