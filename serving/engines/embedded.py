"""The embedded engine: our own server, `python -m serving.embedded`, in a process of its own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.errors import EnvironmentProblem
from serving.engines.contract import Addresses, RunningServer, ServedModel, server_flags
from serving.engines.process import Launcher, LocalServer, ServerProcess, ended_afterwards, launch

LOOPBACK = "127.0.0.1"


def launch_embedded(arguments: Sequence[str], *, log: Path) -> ServerProcess:
    """Start `python -m serving.embedded` with these arguments in a fresh interpreter."""
    return launch([sys.executable, "-m", "serving.embedded", *arguments], log=log)


@dataclass(frozen=True, kw_only=True)
class EmbeddedEngine:
    """`launcher` may start the server in a process that has imported TensorFlow already; the answers are the same."""

    extra_flags: tuple[str, ...] = ()
    launcher: Launcher = field(default=launch_embedded, compare=False, repr=False)
    name: str = field(default="embedded", init=False)

    def missing(self) -> str | None:
        if importlib.util.find_spec("tensorflow") is None:
            return "the embedded server needs TensorFlow, which is not installed; run: make setup"
        return None

    def settings(self) -> Mapping[str, str]:
        return {"engine": self.name, "tensorflow": tensorflow_version(), "flags": " ".join(self.extra_flags)}

    @contextmanager
    def start(self, model: ServedModel) -> Iterator[RunningServer]:
        ports_file = model.log.with_suffix(".ports.json")
        arguments = [
            f"--port={model.grpc_port}",
            f"--rest_api_port={model.rest_port}",
            f"--ports_file={ports_file}",
            f"--model_name={model.name}",
            f"--model_base_path={model.base_path}",
            *server_flags(model, config_folder=str(model.config)),
            *self.extra_flags,
        ]
        try:
            process = self.launcher(arguments, log=model.log)
        except OSError as error:
            raise EnvironmentProblem(f"the embedded server could not be started: {error}", hint="make setup") from error
        with ended_afterwards(process):
            yield LocalServer(
                process=process,
                label=f"embedded server (process {process.pid})",
                runtime=("Tripoint embedded server", f"TensorFlow {tensorflow_version()}"),
                log=model.log,
                find_addresses=lambda: _addresses(ports_file),
            )


def tensorflow_version() -> str:
    """The installed version, without importing TensorFlow."""
    for distribution in ("tensorflow", "tensorflow-cpu"):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    raise EnvironmentProblem("TensorFlow is not installed", hint="make setup")


def _addresses(ports_file: Path) -> Addresses | None:
    # The server writes it aside and renames it, so that a file that is there is whole.
    if not ports_file.exists():
        return None
    ports = json.loads(ports_file.read_text())
    return Addresses(grpc=f"{LOOPBACK}:{ports['grpc']}", rest=f"{LOOPBACK}:{ports['rest']}")
