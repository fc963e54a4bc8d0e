"""A model server without TensorFlow: the embedded server's flags, both doors, and the model y = x / 2 + 2 on float32.

`python stand_in.py FLAGS...` behaves as TensorFlow Serving does as far as our client can see: it polls its base path,
opens its ports when the first version is there, and serves the highest. `--stand_in=` makes it misbehave.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import signal
import sys
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from serving.protos import message
from serving.tensors import from_proto, to_proto

AVAILABLE, END = 30, 50


class State:
    """What the doors share: which version is served, and how to misbehave."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.base = Path(arguments.model_base_path)
        self.model = arguments.model_name
        self.behaviour = arguments.stand_in
        self.versions: dict[int, int] = {}
        self.connections = 0
        self.answered = 0
        self.monitored = bool(arguments.monitoring_config_file)

    def poll(self) -> None:
        there = [int(path.name) for path in self.base.iterdir() if path.name.isdecimal()]
        latest = max(there, default=None)
        for version in list(self.versions):
            if version != latest:
                self.versions[version] = END
        if latest is not None:
            self.versions[latest] = END if self.behaviour == "load_fails" else AVAILABLE

    def answer(self, x: Any) -> dict[str, Any]:
        self.answered += 1
        match self.behaviour:
            case "die_on_predict":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang_on_predict":
                time.sleep(60)
            case "extra_output":
                return {"y": x / 2 + 2, "z": x}
            case "drop_a_row":
                return {"y": (x / 2 + 2)[:-1]}
            case _:
                pass
        return {"y": (x / 2 + 2).astype(np.float32)}


def rest_handler(state: State) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            state.connections += 1

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            named = self.path.partition("/versions/")[2].partition(":")[0]
            version = int(named) if named else max(state.versions)
            if state.versions.get(version) != AVAILABLE:
                self.reply(404, {"error": f"Servable not found for request: Specific({state.model}, {version})"})
                return
            outputs = state.answer(np.asarray(body["instances"], dtype=np.float32))
            if len(outputs) == 1:
                self.reply(200, {"predictions": next(iter(outputs.values())).tolist()})
            else:
                rows = zip(*(array.tolist() for array in outputs.values()), strict=True)
                self.reply(200, {"predictions": [dict(zip(outputs, row, strict=True)) for row in rows]})

        def do_GET(self) -> None:
            if not state.monitored:
                self.reply(404, {"error": "not found"})
                return
            name = ":tensorflow:serving:request_count"
            line = f'{name}{{model_name="{state.model}",status="OK"}} {state.answered}'
            self.send(200, f"# TYPE {name} counter\n{line}\n".encode())

        def reply(self, status: int, value: Any) -> None:
            self.send(status, json.dumps(value).encode())

        def send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Connections", str(state.connections))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Quiet: what a test looks for in the log is written on purpose."""

    return Handler


def grpc_server(state: State, port: int) -> tuple[grpc.Server, int]:
    def status(_request: Any, _context: grpc.ServicerContext) -> Any:
        answer = message("tensorflow.serving.GetModelStatusResponse")()
        for version, number in sorted(state.versions.items(), reverse=True):
            entry = answer.model_version_status.add(version=version, state=number)
            if state.behaviour == "load_fails":
                entry.status.error_message = "Read less bytes than requested"
        return answer

    def predict(request: Any, context: grpc.ServicerContext) -> Any:
        if state.versions.get(request.model_spec.version.value) != AVAILABLE:
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found")
        answer = message("tensorflow.serving.PredictResponse")()
        for name, array in state.answer(from_proto(request.inputs["x"])).items():
            answer.outputs[name].CopyFrom(to_proto(array, "float32"))
        return answer

    def handler(function: Any, request: str) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            function,
            request_deserializer=message(f"tensorflow.serving.{request}").FromString,
            response_serializer=lambda one: one.SerializeToString(),
        )

    server = grpc.server(futures.ThreadPoolExecutor(4))
    predicts = {"Predict": handler(predict, "PredictRequest")}
    statuses = {"GetModelStatus": handler(status, "GetModelStatusRequest")}
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", predicts),
            grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", statuses),
        )
    )
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    return server, bound


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rest_api_port", type=int, default=0)
    parser.add_argument("--ports_file", type=Path)
    parser.add_argument("--model_name", default="model")
    parser.add_argument("--model_base_path")
    parser.add_argument("--max_num_load_retries")
    parser.add_argument("--rest_api_timeout_in_ms")
    parser.add_argument("--monitoring_config_file", default="")
    parser.add_argument("--stand_in", default="")
    arguments = parser.parse_args()
    state = State(arguments)
    sys.stdout.write(f"serving {state.model}\n")
    sys.stdout.flush()
    if state.behaviour.startswith("exit:"):
        sys.exit(int(state.behaviour.removeprefix("exit:")))
    while state.behaviour == "never_ready" or not state.versions:
        state.poll()
        time.sleep(0.02)
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", arguments.rest_api_port), rest_handler(state))
    server, bound = grpc_server(state, arguments.port)
    server.start()
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    if arguments.ports_file is not None:
        aside = arguments.ports_file.with_suffix(".aside")
        aside.write_text(json.dumps({"grpc": bound, "rest": rest.server_address[1], "pid": os.getpid()}))
        aside.rename(arguments.ports_file)
    while True:
        state.poll()
        time.sleep(0.02)


if __name__ == "__main__":
    main()
