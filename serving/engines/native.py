"""The native engine: an installed `tensorflow_model_server`."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from pipeline.core.errors import EnvironmentProblem
from serving.engines.contract import Addresses, RunningServer, ServedModel, server_flags
from serving.engines.process import LocalServer, ended_afterwards, launch

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class NativeEngine:
    """`binary` is a path or a name on the PATH."""

    binary: str = "tensorflow_model_server"
    extra_flags: tuple[str, ...] = ()
    name: str = field(default="native", init=False)

    def missing(self) -> str | None:
        if shutil.which(self.binary) is None:
            return f"there is no {self.binary} on the PATH; install the Debian package tensorflow-model-server"
        return None

    def settings(self) -> Mapping[str, str]:
        return {"engine": self.name, "version": self._version(), "flags": " ".join(self.extra_flags)}

    @contextmanager
    def start(self, model: ServedModel) -> Iterator[RunningServer]:
        binary = shutil.which(self.binary)
        if binary is None:
            raise EnvironmentProblem(
                f"there is no {self.binary} on the PATH",
                hint="install the Debian package tensorflow-model-server, or use `--engine embedded`",
            )
        free = _free_ports(2)
        grpc_port, rest_port = model.grpc_port or free[0], model.rest_port or free[1]
        command = [
            binary,
            f"--port={grpc_port}",
            f"--rest_api_port={rest_port}",
            f"--model_name={model.name}",
            f"--model_base_path={model.base_path}",
            *server_flags(model, config_folder=str(model.config)),
            *self.extra_flags,
        ]
        addresses = Addresses(grpc=f"{LOOPBACK}:{grpc_port}", rest=f"{LOOPBACK}:{rest_port}")
        process = launch(command, log=model.log)
        with ended_afterwards(process):
            yield LocalServer(
                process=process,
                label=f"{self.binary} (process {process.pid})",
                runtime=("TensorFlow Serving", self._version()),
                log=model.log,
                find_addresses=lambda: addresses,
                details={"binary": binary},
            )

    def _version(self) -> str:
        answer = subprocess.run([self.binary, "--version"], capture_output=True, text=True, timeout=20, check=False)
        # Its first line reads `TensorFlow ModelServer: 2.20.0-rc0+dev.sha.ef1...`.
        first = next(iter(answer.stdout.splitlines()), "")
        return first.partition(":")[2].strip() or "unknown"


def _free_ports(count: int) -> list[int]:
    """Ports that are free now. To this binary port 0 means "off", so the system cannot be left to choose.

    All are held at once, so that they differ. Another process may take one before the server binds it; then the server
    ends at once, and its log says so.
    """
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [int(one.getsockname()[1]) for one in sockets]
