"""The embedded server as a process of its own, for tests that speak to it over real sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_STARTER = "import sys; from serving.embedded import main; sys.exit(main(sys.argv[1:]))"


class Server:
    """A running server. Its log is kept, so that a failure can be explained."""

    def __init__(self, process: subprocess.Popen[bytes], ports_file: Path, log: Path) -> None:
        self.process = process
        self._ports_file = ports_file
        self.log = log

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

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

    def wait_ready(self, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not self.has_ports:
            if not self.is_running or time.monotonic() > deadline:
                raise AssertionError(f"the server is not ready: {self.log.read_text()[-3000:]}")
            time.sleep(0.02)

    def wait_exit(self, seconds: float) -> int | None:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


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
        command = [sys.executable, "-c", _STARTER, "--port=0", "--rest_api_port=0", f"--ports_file={ports_file}"]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)}
        with log.open("wb") as output:
            process = subprocess.Popen([*command, *flags], stdout=output, stderr=output, env=environment, cwd=ROOT)
        server = Server(process, ports_file, log)
        try:
            if await_ready:
                server.wait_ready()
            yield server
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
