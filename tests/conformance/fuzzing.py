"""Random requests at both doors: nothing may crash, hang, or be answered with a fault of ours."""

from __future__ import annotations

import json
import random
import socket
import string
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.server_process import Server

_METHODS = ("POST", "POST", "POST", "GET", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "FOO", "")
_NUMBERS = ("0", "1", "-1", "1.5", "-0.0", "1e5", "1e400", "NaN", "-Infinity", "99999999999999999999", "01", "1.", "+1")
_NAMES = ("instances", "inputs", "signature_name", "examples", "context", "x", "k", "a", "b", "s", "b64", "q")
FAULTS = frozenset({500, 502, 503})
ANSWER_SECONDS = 30.0


@dataclass(kw_only=True)
class Findings:
    """How often each status came, and what should not have."""

    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())


class Fuzzer:
    """Random requests for models with these names and signatures."""

    def __init__(self, server: Server, targets: list[tuple[str, list[str]]], seed: int) -> None:
        self._server = server
        self._targets = targets
        self._random = random.Random(seed)
        self.findings = Findings()

    def rest(self, count: int) -> None:
        """So many requests over REST, on connections that are used until the server closes them."""
        for _ in range(count):
            raw = self._raw_request()
            try:
                with socket.create_connection(("127.0.0.1", self._server.rest), timeout=ANSWER_SECONDS) as connection:
                    connection.sendall(raw)
                    connection.shutdown(socket.SHUT_WR)
                    self._note_rest(raw, _read_all(connection))
            except TimeoutError:
                self.findings.faults.append(f"no answer to {raw[:300]!r}")
            except ConnectionError:
                # A refusal may close the connection before all of the request is through.
                self.findings.statuses["closed"] += 1

    def grpc(self, count: int) -> None:
        """So many calls over gRPC, their requests random protos or random bytes."""
        import grpc

        for _ in range(count):
            method, payload = self._random_call()
            call = self._server.channel.unary_unary(f"/tensorflow.serving.{method}", lambda raw: raw, lambda raw: raw)
            try:
                call(payload, timeout=ANSWER_SECONDS)
                self.findings.statuses["gRPC OK"] += 1
            except grpc.RpcError as error:
                code = error.code()
                self.findings.statuses[f"gRPC {code.name}"] += 1
                broken_proto = "deserializing request" in (error.details() or "")
                if code.name in ("UNKNOWN", "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED") and not broken_proto:
                    self.findings.faults.append(f"{method} {payload[:300]!r}: {code.name} {error.details()}")

    def _note_rest(self, raw: bytes, answer: bytes) -> None:
        if not answer:
            self.findings.statuses["nothing"] += 1
            return
        status = int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0
        self.findings.statuses[str(status)] += 1
        if status in FAULTS or status == 0:
            self.findings.faults.append(f"{raw[:400]!r} was answered {answer[:300]!r}")

    def _raw_request(self) -> bytes:
        pick = self._random
        body = self._body()
        method = pick.choice(_METHODS)
        name, signatures = pick.choice(self._targets)
        del signatures
        verb = pick.choice(
            (":predict", ":predict", ":classify", ":regress", "", "/metadata", "/versions/1", "/labels/x")
        )
        path = f"/v1/models/{name}{verb}" if pick.random() < 0.9 else self._text(20)
        head = f"{method} {path} HTTP/1.{pick.choice('1111102')}\r\nHost: x\r\n"
        if pick.random() < 0.9:
            head += f"Content-Length: {len(body) if pick.random() < 0.95 else pick.randrange(1 << 34)}\r\n"
        else:
            head += pick.choice(
                ("Transfer-Encoding: chunked\r\n", "Content-Encoding: gzip\r\n", "Expect: 100-continue\r\n")
            )
        raw = head.encode("utf-8", "replace") + b"\r\n" + body
        if pick.random() < 0.05:
            raw = bytes(byte if pick.random() < 0.97 else pick.randrange(256) for byte in raw)
        return raw

    def _body(self) -> bytes:
        pick = self._random
        if pick.random() < 0.05:
            depth = pick.choice((10, 100, 2000, 30_000))
            return b'{"instances":' + b"[" * depth + b"]" * pick.choice((0, depth)) + b"}"
        members = [f"{json.dumps(pick.choice(_NAMES[:5]))}:{self._value(4)}" for _ in range(pick.randrange(4))]
        if pick.random() < 0.3:
            _, signatures = pick.choice(self._targets)
            members.append(f'"signature_name":{json.dumps(pick.choice(signatures))}')
        text = "{" + ",".join(members) + "}"
        if pick.random() < 0.1:
            text = text[: pick.randrange(len(text) + 1)]
        return text.encode("utf-8", "replace")

    def _value(self, depth: int) -> str:
        pick = self._random
        kind = pick.random()
        if depth and kind < 0.4:
            same = self._value(depth - 1)
            items = [same if pick.random() < 0.8 else self._value(depth - 1) for _ in range(pick.randrange(5))]
            return "[" + ",".join(items) + "]"
        if depth and kind < 0.55:
            pairs = (f"{json.dumps(pick.choice(_NAMES))}:{self._value(depth - 1)}" for _ in range(pick.randrange(4)))
            return "{" + ",".join(pairs) + "}"
        if kind < 0.85:
            return pick.choice(_NUMBERS)
        return pick.choice(("true", "false", "null", json.dumps(self._text(6)), '"YQ=="', '{"b64":"YQ=="}'))

    def _text(self, length: int) -> str:
        letters = string.printable + "ä日😀\x00"
        return "".join(self._random.choice(letters) for _ in range(self._random.randrange(length + 1)))

    def _random_call(self) -> tuple[str, bytes]:
        from tensorflow_serving.apis import classification_pb2, get_model_metadata_pb2, inference_pb2, predict_pb2

        pick = self._random
        name, signatures = pick.choice(self._targets)
        method, request = pick.choice(
            (
                ("PredictionService/Predict", predict_pb2.PredictRequest()),
                ("PredictionService/Classify", classification_pb2.ClassificationRequest()),
                ("PredictionService/Regress", classification_pb2.ClassificationRequest()),
                ("PredictionService/GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest()),
                ("PredictionService/MultiInference", inference_pb2.MultiInferenceRequest()),
                ("ModelService/GetModelStatus", get_model_metadata_pb2.GetModelMetadataRequest()),
            )
        )
        if method.endswith("MultiInference"):
            for _ in range(pick.randrange(3)):
                task = request.tasks.add(method_name=pick.choice(("tensorflow/serving/classify", "x", "")))
                self._fill_spec(task.model_spec, name, signatures)
        else:
            self._fill_spec(request.model_spec, name, signatures)
        if method.endswith("Predict"):
            for _ in range(pick.randrange(3)):
                self._fill_tensor(request.inputs[pick.choice(_NAMES)])
            request.output_filter.extend(pick.choices(("y", "sum", "nope"), k=pick.choice((0, 0, 0, 1, 2))))
        elif hasattr(request, "input"):
            for _ in range(pick.randrange(3)):
                feature = request.input.example_list.examples.add().features.feature[pick.choice(("x", "y"))]
                feature.float_list.value.extend(pick.choices((0.0, 1.5), k=pick.randrange(3)))
        payload = request.SerializeToString()
        if pick.random() < 0.1:
            payload = bytes(byte if pick.random() < 0.9 else pick.randrange(256) for byte in payload)
        return method, payload

    def _fill_spec(self, spec: Any, name: str, signatures: list[str]) -> None:
        pick = self._random
        spec.name = name if pick.random() < 0.9 else self._text(5)
        if pick.random() < 0.5:
            spec.signature_name = pick.choice(signatures)
        if pick.random() < 0.2:
            spec.version.value = pick.choice((1, 123, -1, 1 << 62))

    def _fill_tensor(self, tensor: Any) -> None:
        pick = self._random
        tensor.dtype = pick.choice((1, 1, 1, 2, 3, 4, 7, 9, 10, 14, 19, 0, 20, 101))
        sizes = (0, 1, 2, 3, 8, 1, 1 << 20, 1 << 40, -1)
        for _ in range(pick.choice((0, 1, 1, 2, 3, 4, 100))):
            tensor.tensor_shape.dim.add().size = pick.choice(sizes[: pick.choice((4, 6, 9))])
        tensor.tensor_shape.unknown_rank = pick.random() < 0.05
        if pick.random() < 0.5:
            tensor.tensor_content = pick.randbytes(pick.choice((0, 4, 8, 12, 64, 257)))
        else:
            tensor.float_val.extend(pick.choices((0.0, 1.5, float("nan")), k=pick.randrange(5)))
            tensor.int_val.extend(pick.choices((0, -1, 1 << 30), k=pick.randrange(3)))
            tensor.string_val.extend(pick.choices((b"", b"\xff"), k=pick.randrange(3)))


def _read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)
