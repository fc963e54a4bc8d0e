"""How fast the embedded server is beside the bare in-process call, as ratios from one interleaved run.

`make bench-serving`. REST load comes from `wrk`, gRPC load from `h2load`; both are Debian's (`wrk`, `nghttp2-client`).
Absolute figures depend on the machine and on what else it does; only ratios taken in the same round are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_WRK_BODY = """
local file = io.open("{body}", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency, requests)
  local e = summary.errors
  local failed = e.status + e.connect + e.read + e.write + e.timeout
  io.write(string.format("FIGURES %d %d %.3f %.3f %.3f\\n", summary.requests, failed,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One load: requests a second, and milliseconds of the median and the slowest hundredth."""

    rate: float
    median: float
    p99: float
    errors: int = 0


def in_process(model: str, batch: int, seconds: float) -> Figures:
    """The signature's ConcreteFunction, called in a fresh process as a Python program would call it."""
    out = subprocess.run(
        [sys.executable, __file__, "--in-process", model, str(batch), str(seconds)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
    ).stdout
    return Figures(**json.loads(out.splitlines()[-1]))


def _measure_in_process(model: str, batch: int, seconds: float) -> None:
    import numpy as np
    import tensorflow as tf

    # The object must outlive its signature: it owns the variables.
    loaded = tf.saved_model.load(model)
    signature = loaded.signatures["serving_default"]
    ((name, spec),) = signature.structured_input_signature[1].items()
    inputs = np.full((batch, *spec.shape[1:]), 0.5, np.float32)
    for _ in range(50):
        signature(**{name: tf.constant(inputs)})
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        outputs = signature(**{name: tf.constant(inputs)})
        for value in outputs.values():
            value.numpy()
        times.append(time.perf_counter() - start)
    sys.stdout.write(json.dumps(_figures(times, sum(times))) + "\n")


def _figures(times: list[float], wall: float) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "rate": len(times) / wall,
        "median": statistics.median(ordered) * 1e3,
        "p99": ordered[int(len(ordered) * 0.99)] * 1e3,
    }


def rest(port: int, name: str, body: Path, connections: int, seconds: float) -> Figures:
    """Load from `wrk` with so many connections."""
    script = body.with_suffix(".lua")
    script.write_text(_WRK_BODY.format(body=body))
    out = subprocess.run(
        [
            *("wrk", f"-t{min(connections, 2)}", f"-c{connections}", f"-d{seconds:.0f}s", "-s", str(script)),
            f"http://127.0.0.1:{port}/v1/models/{name}:predict",
        ],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    found = re.search(r"FIGURES (\d+) (\d+) ([\d.]+) ([\d.]+) ([\d.]+)", out)
    if found is None:
        raise SystemExit(out)
    return Figures(
        rate=int(found[1]) / float(found[3]), median=float(found[4]), p99=float(found[5]), errors=int(found[2])
    )


def grpc(port: int, message: Path, connections: int, seconds: float) -> Figures:
    """Load from `h2load` with so many connections; `message` is a request with gRPC's five bytes before it."""
    log = message.with_suffix(".log")
    log.unlink(missing_ok=True)
    subprocess.run(
        [
            *("h2load", "-t1", f"-c{connections}", "-m1", f"-D{seconds:.0f}", f"--log-file={log}", f"-d{message}"),
            *("-Hcontent-type: application/grpc", "-Hte: trailers", f"http://127.0.0.1:{port}{_PREDICT}"),
        ],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    # Each line: when it began (microseconds), the status, and how long it took (microseconds).
    calls = [tuple(map(int, line.split("\t"))) for line in log.read_text().splitlines()]
    wall = (max(began + took for began, _, took in calls) - min(began for began, _, _ in calls)) / 1e6
    failed = sum(status != 200 for _, status, _ in calls)
    return Figures(**_figures([took / 1e6 for _, _, took in calls], wall), errors=failed)


def grpc_message(port: int, name: str, tensor: str, shape: tuple[int, ...]) -> bytes:
    """A Predict with its tensor as content, framed. Asked once here: h2load sees no status but HTTP's."""
    import grpc
    import numpy as np
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    proto = request.inputs[tensor]
    proto.dtype = 1
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    proto.tensor_content = np.full(shape, 0.5, np.float32).tobytes()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
    content: bytes = request.SerializeToString()
    return b"\0" + len(content).to_bytes(4, "big") + content


def json_body(batch: int, shape: tuple[int, ...]) -> bytes:
    import numpy as np

    rows = (np.arange(batch * int(np.prod(shape))).reshape(batch, *shape) % 17 / 16).tolist()
    return json.dumps({"instances": rows}).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", required=True, help="folder of the model's versions, e.g. models/digits")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batches", default="1,64")
    parser.add_argument("--connections", default="1,8,32")
    parser.add_argument("--no-grpc", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report(asked, Path(folder))


def report(asked: Any, folder: Path) -> None:
    """Run everything in turn and print each figure beside the in-process call of its own round."""
    from tests.conformance.server_process import serving

    base = Path(asked.model).resolve()
    name = base.name
    version = max((child for child in base.iterdir() if child.name.isdigit()), key=lambda child: int(child.name))
    tensor, shape = _input_of(version)
    flags = [f"--model_name={name}", f"--model_base_path={base}"]
    with (
        serving({"flags": flags}, folder) as plain,
        serving({"flags": [*flags, "--enable_batching"]}, folder) as batching,
    ):
        for batch in map(int, asked.batches.split(",")):
            body = folder / f"batch{batch}.json"
            body.write_bytes(json_body(batch, shape))
            message = folder / f"batch{batch}.grpc"
            message.write_bytes(grpc_message(plain.grpc, name, tensor, (batch, *shape)))
            for round_number in range(asked.rounds):
                bare = in_process(str(version), batch, asked.seconds)
                print(f"\nbatch {batch}, round {round_number + 1}: in-process {bare.rate:.0f}/s, {bare.median:.3f} ms")
                for connections in map(int, asked.connections.split(",")):
                    for label, server in (("", plain), (" batching", batching)):
                        _print(
                            f"REST{label}", connections, rest(server.rest, name, body, connections, asked.seconds), bare
                        )
                        if not asked.no_grpc:
                            _print(
                                f"gRPC{label}",
                                connections,
                                grpc(server.grpc, message, connections, asked.seconds),
                                bare,
                            )


def _print(label: str, connections: int, got: Figures, bare: Figures) -> None:
    print(
        f"  {connections:3d} connections  {label:14s} {got.rate:7.0f}/s = {got.rate / bare.rate:5.2f} x in-process"
        f"   median {got.median:7.2f} ms = {got.median / bare.median:5.2f} x   p99 {got.p99:7.2f} ms"
        f"{f'   {got.errors} ERRORS' if got.errors else ''}",
        flush=True,
    )


def _input_of(version: Path) -> tuple[str, tuple[int, ...]]:
    from tensorflow.core.protobuf import saved_model_pb2

    meta = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes()).meta_graphs[0]
    ((alias, info),) = meta.signature_def["serving_default"].inputs.items()
    return alias, tuple(dim.size for dim in info.tensor_shape.dim)[1:]


if __name__ == "__main__":
    if "--in-process" in sys.argv:
        _measure_in_process(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    else:
        main()
