"""The embedded server as a process of its own, for tests that speak to it over real sockets.

Importing TensorFlow costs seconds, so one process imports it once and forks each server: the same `main` that
`python -m serving.embedded` runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_FORKER = """
import json, os, sys
import tensorflow
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2, model_service_pb2
from serving.embedded import main
exits = {}
for line in sys.stdin:
    command = json.loads(line)
    if "argv" in command:
        child = os.fork()
        if not child:
            log = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            for stream in (1, 2):
                os.dup2(log, stream)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            status = 1
            try:
                status = main(command["argv"])
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(child, flush=True)
    else:
        pid = command["poll"]
        if pid not in exits:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                exits[pid] = os.waitstatus_to_exitcode(status)
        print(json.dumps(exits.get(pid)), flush=True)
"""


class _Forker:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _FORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            text=True,
        )

    def ask(self, **command: object) -> Any:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())


@cache
def _forker() -> _Forker:
    return _Forker()


class Server:
    """A running server. Its log is kept, so that a failure can be explained."""

    def __init__(self, pid: int, ports_file: Path, log: Path) -> None:
        self.pid = pid
        self._ports_file = ports_file
        self.log = log

    @property
    def exit_status(self) -> int | None:
        status = _forker().ask(poll=self.pid)
        return None if status is None else int(status)

    @property
    def is_running(self) -> bool:
        return self.exit_status is None

    @property
    def has_ports(self) -> bool:
        return self._ports_file.exists()

    @cached_property
    def _ports(self) -> dict[str, int]:
        return dict(json.loads(self._ports_file.read_text()))

    @property
    def rest(self) -> int:
        return self._ports["rest"]

    @property
    def grpc(self) -> int:
        return self._ports["grpc"]

    @cached_property
    def channel(self) -> Any:
        import grpc

        return grpc.insecure_channel(f"127.0.0.1:{self.grpc}")

    def resident_megabytes(self) -> float:
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def wait_ready(self, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not self.has_ports:
            if not self.is_running or time.monotonic() > deadline:
                raise AssertionError(f"the server is not ready: {self.log.read_text()[-3000:]}")
            time.sleep(0.02)

    def wait_exit(self, seconds: float) -> int | None:
        deadline = time.monotonic() + seconds
        while (status := self.exit_status) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return status

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


@contextmanager
def serving(settings: Mapping[str, Any], models: Path, *, await_ready: bool = True) -> Iterator[Server]:
    """Start with recorded settings (`flags`, `files`), `{MODELS}` in both standing for the folder `models`."""
    for name, content in settings.get("files", {}).items():
        path = models / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("{MODELS}", str(models)))
    flags = [flag.replace("{MODELS}", str(models)) for flag in settings["flags"]]
    with tempfile.TemporaryDirectory() as folder:
        ports_file, log = Path(folder) / "ports.json", Path(folder) / "log.txt"
        pid = _forker().ask(argv=["--port=0", "--rest_api_port=0", f"--ports_file={ports_file}", *flags], log=str(log))
        server = Server(pid, ports_file, log)
        try:
            if await_ready:
                server.wait_ready()
            yield server
        finally:
            if server.is_running:
                server.signal(signal.SIGTERM)
                if server.wait_exit(15) is None:
                    server.signal(signal.SIGKILL)
                    server.wait_exit(5)
