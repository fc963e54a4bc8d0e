"""Replays exchanges recorded from a genuine TensorFlow Serving against the embedded server."""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.server_process import Server, serving

_NODE = re.compile(r"\[\[\{\{.*", re.DOTALL)
_ABORTED = -1
_UNORDERED = ("/metadata",)


@dataclass(kw_only=True)
class Tally:
    """How many exchanges of one file were answered alike, and what was different about the others."""

    alike: int = 0
    different: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, finding: str | None) -> None:
        if finding is None:
            self.alike += 1
        else:
            self.different[name] = finding

    @property
    def total(self) -> int:
        return self.alike + len(self.different)


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


class Servers:
    """One server for each set of recorded settings, started when it is first asked for."""

    def __init__(self, models: Path, closing: ExitStack) -> None:
        self._models = models
        self._closing = closing
        self._running: dict[str, tuple[Server, Path]] = {}

    def for_settings(self, settings: Mapping[str, Any]) -> tuple[Server, Path]:
        """The server and the folder that its flags call `{MODELS}`."""
        key = json.dumps(settings, sort_keys=True)
        if key not in self._running:
            root = linked_models(self._models, Path(self._closing.enter_context(tempfile.TemporaryDirectory())))
            self._running[key] = (self._closing.enter_context(serving(settings, root)), root)
        return self._running[key]


def linked_models(models: Path, into: Path) -> Path:
    """A folder that holds the recorded models and may be written to."""
    for model in models.iterdir():
        (into / model.name).symlink_to(model)
    return into


def replay_rest(path: Path, servers: Servers) -> Tally:
    """Every exchange of one file, in order."""
    tally = Tally()
    for exchange in read_lines(path):
        server, root = servers.for_settings(exchange["server"])
        got = ask(server.rest, exchange["request"])
        tally.note(exchange["id"], difference(exchange["request"], exchange["response"], got, root))
        if not server.is_running:
            tally.different[exchange["id"]] = "the server died"
            break
    return tally


def replay_rpc(path: Path, servers: Servers) -> Tally:
    """Every call of one file."""
    tally = Tally()
    for call in read_lines(path):
        server, _ = servers.for_settings(call["server"])
        tally.note(call["id"], rpc_difference(server, call))
    return tally


def replay_lifecycle(path: Path, models: Path) -> Tally:
    """Each sequence on a server of its own, side by side, for they mostly wait."""
    sequences = read_lines(path)
    tally = Tally()
    with ThreadPoolExecutor(4) as threads:
        findings = threads.map(lambda sequence: _replay_sequence(sequence, models), sequences)
        for sequence, finding in zip(sequences, findings, strict=True):
            tally.note(sequence["id"], finding)
    return tally


def _replay_sequence(sequence: Mapping[str, Any], models: Path) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        root = linked_models(models, Path(folder))
        for start in sequence["start"]:
            _put(root, start)
        return _sequence_difference(sequence, root)


def _sequence_difference(sequence: Mapping[str, Any], root: Path) -> str | None:
    exits = any("exited" in step for step in sequence["steps"])
    silent = any(step.get("response", {}).get("status", 0) is None for step in sequence["steps"])
    with serving(sequence["server"], root, await_ready=not silent and not exits) as server:
        if exits:
            return None if server.wait_exit(30) not in (0, None) else "the server did not exit with an error"
        if silent:
            # As long as it would need to open a port, were there something to serve.
            time.sleep(4)
            return None if server.is_running and not server.has_ports else "the server opened its ports or died"
        for number, step in enumerate(sequence["steps"]):
            finding = _take_step(server, step, root)
            if finding is not None:
                return f"step {number}: {finding}"
    return None


def _take_step(server: Server, step: Mapping[str, Any], root: Path) -> str | None:
    match step["do"]:
        case "request":
            request = {"version": "HTTP/1.1", "headers": [["Host", "x"]], **step["request"]}
            if request.get("body"):
                length = len(request["body"].encode())
                request["headers"] = [*request["headers"], ["Content-Length", str(length)]]
            return difference(request, step["response"], ask(server.rest, request), root)
        case "wait":
            time.sleep(step["seconds"])
        case "add version":
            _put(root, step)
        case "make directory":
            folder = root / step["path"]
            folder.mkdir(parents=True)
            if step["garbage_saved_model_pb"]:
                (folder / "saved_model.pb").write_bytes(b"this is no SavedModel")
        case "remove version":
            shutil.rmtree(root / "work/m" / step["version"])
        case "write config" | "write file":
            (root / step["path"]).write_text(step["content"].replace("{MODELS}", str(root)))
        case unknown:
            return f"unknown step {unknown}"
    return None


def _put(root: Path, what: Mapping[str, Any]) -> None:
    if "from" in what:
        shutil.copytree(root / what["from"], root / what["to"])
    elif "directory" in what:
        (root / what["directory"]).mkdir(parents=True)
    else:
        (root / what["file"]).parent.mkdir(parents=True, exist_ok=True)
        (root / what["file"]).write_text("")


@dataclass(frozen=True, kw_only=True)
class Raw:
    """An answer as it came; status None: the connection ended without one."""

    status: int | None
    reason: str
    headers: list[tuple[str, str]]
    body: bytes


def ask(port: int, request: Mapping[str, Any]) -> Raw:
    """Send the recorded bytes and read one answer."""
    body = base64.b64decode(request["body_b64"]) if "body_b64" in request else request.get("body", "").encode()
    head = f"{request['method']} {request['path']} {request['version']}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in request["headers"])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head.encode("latin-1") + b"\r\n" + body)
        return _read_answer(connection, has_body=request["method"] != "HEAD")


def _read_answer(connection: socket.socket, *, has_body: bool) -> Raw:
    stream = connection.makefile("rb")
    while True:
        first = stream.readline()
        if not first:
            return Raw(status=None, reason="", headers=[], body=b"")
        _, status, reason = first.decode("latin-1").rstrip("\r\n").split(" ", 2)
        headers: list[tuple[str, str]] = []
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").rstrip("\r\n").partition(": ")
            headers.append((name, value))
        if int(status) >= 200:
            break
    length = next((int(value) for name, value in headers if name == "Content-Length"), None)
    body = b""
    if has_body:
        body = stream.read() if length is None else stream.read(length)
    return Raw(status=int(status), reason=reason, headers=headers, body=body)


def difference(request: Mapping[str, Any], want: Mapping[str, Any], got: Raw, root: Path) -> str | None:
    """What a client could notice, or None."""
    if want["status"] is None:
        return None if got.status is not None and 400 <= got.status < 500 else f"want a refusal, got {got.status}"
    if (want["status"], want["reason"]) != (got.status, got.reason):
        return f"want {want['status']} {want['reason']}, got {got.status} {got.reason}: {got.body[:300]!r}"
    body = base64.b64decode(want["body_b64"]) if "body_b64" in want else want.get("body", "").encode()
    body = body.replace(b"{MODELS}", str(root).encode())
    flexible = _is_flexible(request, want)
    names = [
        [name, "" if name == "Date" or (flexible and name == "Content-Length") else value]
        for name, value in want["headers"]
    ]
    got_names = [
        [name, "" if name == "Date" or (flexible and name == "Content-Length") else value]
        for name, value in got.headers
    ]
    if b"/" in body and str(root).encode() in body:
        names, got_names = [n[:1] for n in names], [n[:1] for n in got_names]
    if names != got_names:
        return f"want headers {names}, got {got_names}"
    if request["path"].startswith("/monitoring"):
        return _metrics_difference(body.decode(), got.body.decode()) if want["status"] == 200 else None
    if flexible:
        return _unordered_difference(body, got.body)
    return None if body == got.body else f"want {body!r}\n     got {got.body!r}"


def _is_flexible(request: Mapping[str, Any], want: Mapping[str, Any]) -> bool:
    path = request["path"]
    if want["status"] == 200:
        return ":predict" in path or path.endswith(_UNORDERED) or path.startswith("/monitoring")
    return "[[{{" in want.get("body", "")


def _unordered_difference(want: bytes, got: bytes) -> str | None:
    if want == got:
        return None
    if b"[[{{" in want:
        cut = _NODE.sub("", want.decode()), _NODE.sub("", got.decode())
        return None if cut[0] == cut[1] else f"want {want!r}\n     got {got!r}"
    try:
        same = _parsed(want) == _parsed(got)
    except ValueError as error:
        return f"unreadable: {error}: {got!r}"
    if not same:
        return f"want {want!r}\n     got {got!r}"
    # The same values in another order: the same lines, then, but for the commas between them.
    lines = [sorted(line.rstrip(b",") for line in text.split(b"\n")) for text in (want, got)]
    return None if lines[0] == lines[1] else f"want the lines of {want!r}\n     got {got!r}"


def _parsed(body: bytes) -> object:
    """The document with every number kept as its text."""
    keep = dict.fromkeys(("parse_int", "parse_float", "parse_constant"), lambda text: ("number", text))
    return json.loads(body.decode("utf-8", "surrogateescape"), **keep)  # type: ignore[arg-type]  # three hooks alike


def _metrics_difference(want: str, got: str) -> str | None:
    """Names, types and label sets; those of TensorFlow's own inside are not ours to have."""
    mine, theirs = _metric_shape(got), _metric_shape(want)
    missing = sorted(theirs - mine)
    return f"missing: {missing}" if missing else None


def _metric_shape(page: str) -> set[str]:
    shape = set()
    for line in page.splitlines():
        if not line:
            continue
        name = line.split()[2] if line.startswith("#") else re.split(r"[{ ]", line)[0]
        if line.startswith("#"):
            shape.add(line)
        else:
            labels = re.findall(r'[{,](\w+)="', line)
            shape.add(f"{name} {labels}")
    return shape


def rpc_difference(server: Server, call: Mapping[str, Any]) -> str | None:
    """Code, message and response of one call."""
    import grpc
    from google.protobuf import message_factory
    from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

    method = {"ReloadConfig": "HandleReloadConfigRequest"}.get(call["method"], call["method"])
    for module, service in ((prediction_service_pb2, "PredictionService"), (model_service_pb2, "ModelService")):
        found = module.DESCRIPTOR.services_by_name[service].methods_by_name.get(method)
        if found is not None:
            break
    else:
        return f"no such method {method}"
    response_type = message_factory.GetMessageClass(found.output_type)
    invoke = server.channel.unary_unary(
        f"/tensorflow.serving.{service}/{method}", lambda raw: raw, response_type.FromString
    )
    try:
        got = invoke(base64.b64decode(call["request_b64"]), timeout=20)
        code, message = 0, ""
    except grpc.RpcError as error:
        got, code, message = None, error.code().value[0], error.details() or ""
    if call["code"] == _ABORTED:
        return None if code == 3 else f"want a refusal, got {code} {message}"
    want_message, got_message = _NODE.sub("", call["message"]), _NODE.sub("", message)
    want_message = want_message.replace("\\n", "\n").rstrip()
    if code != call["code"] or want_message != got_message.rstrip():
        return f"want {call['code']} {want_message!r}, got {code} {got_message!r}"
    if got is None:
        return None
    want = response_type.FromString(base64.b64decode(call["response_b64"]))
    if want.SerializeToString(deterministic=True) == got.SerializeToString(deterministic=True):
        return None
    return f"want {want}\n     got {got}"
