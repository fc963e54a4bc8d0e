"""The edge CPU as a runtime of the pipeline: a runner process here or on a device, one for each TFLite library."""

from __future__ import annotations

import functools
import json
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edge.runner_process import RunnerProcess, running
from edge.wire import CannotTravel, Frame
from pipeline.core.artifact import Artifact, Precision
from pipeline.core.errors import EnvironmentProblem, TargetFailed
from pipeline.core.signature import Tensors
from pipeline.core.target import Answers, Runner, RuntimeInfo, Session

LibraryName = Literal["tflite-runtime", "litert"]

# Where `python -m edge.runner` finds this package, and what a relative path to an interpreter counts from.
_HOME = Path(__file__).resolve().parent.parent
_PROTOCOL = 2
_SHOWN = {"tflite-runtime": "tflite-runtime", "litert": "LiteRT"}
_DISTRIBUTIONS = {"tflite-runtime": "tflite-runtime", "litert": "ai-edge-litert"}
_ASK_WITHIN_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class EdgeProcess:
    """One TFLite library in a process of its own.

    `python` is the interpreter of the edge environment, counted from the folder that holds `edge/`. `command` goes
    before it: with `("ssh", "pi@device")` the same process runs on a device, where `edge/` lies in the home folder.
    A runner that gives no sign of life for `silent_for_seconds` is killed; it gives one after each batch.
    """

    library: LibraryName
    python: str = "edge/.venv/bin/python"
    threads: int = 1
    command: tuple[str, ...] = ()
    silent_for_seconds: float = 120.0

    def missing(self) -> str | None:
        if self.command:
            found = shutil.which(self.command[0])
            return None if found else f"`{self.command[0]}` is not on the PATH; correct edge.command in tripoint.toml"
        if not Path(self._interpreter).exists():
            return f"there is no edge environment ({self.python}); run: make setup"
        installed = _installed(self._interpreter)
        if installed is None:
            return f"{self.python} is not a Python that runs; correct edge.python in tripoint.toml, or run: make setup"
        if self.library not in installed:
            return f"{_DISTRIBUTIONS[self.library]} is not in the edge environment ({self.python}); run: make setup"
        return None

    def settings(self) -> Mapping[str, str]:
        """On a device nobody is asked for the version: after an update there, `make clean` forgets all."""
        asked = {"library": self.library, "threads": str(self.threads)}
        if self.command:
            return {**asked, "command": " ".join((*self.command, self.python))}
        version = (_installed(self._interpreter) or {}).get(self.library)
        if version is None:
            raise EnvironmentProblem(f"{_SHOWN[self.library]}: {self.missing()}", hint="tripoint doctor")
        return {**asked, "version": version, "machine": platform.machine()}

    @contextmanager
    def boot(self, scratch: Path) -> Iterator[Session]:
        with ExitStack() as stack:
            session = _EdgeSession(self, lambda: stack.enter_context(self._running(scratch / "runner.log")))
            session.start()
            yield session

    @property
    def _interpreter(self) -> str:
        return self.python if self.command else str(_HOME / self.python)

    def _running(self, log: Path) -> AbstractContextManager[RunnerProcess]:
        return running(
            (*self.command, self._interpreter, "-m", "edge.runner", self.library),
            name=" ".join((_SHOWN[self.library], *(("over", *self.command) if self.command else ()))),
            folder=_HOME,
            log=log,
        )


class _EdgeSession:
    """A runner that is up, and is started again when an artifact has brought it down: the others are to be heard."""

    def __init__(self, runtime: EdgeProcess, start: Callable[[], RunnerProcess]) -> None:
        self._runtime = runtime
        self._start = start
        self._process: RunnerProcess | None = None
        self._here: Mapping[str, Any] = {}

    def start(self) -> RunnerProcess:
        process = self._start()
        hello = process.ask(Frame({"do": "hello"}), silent_for_seconds=self._runtime.silent_for_seconds)
        if hello.header.get("protocol") != _PROTOCOL:
            raise TargetFailed(
                f"{process.name}: the runner speaks protocol {hello.header.get('protocol')}, not {_PROTOCOL}",
                hint="copy the folder edge/ to the device again",
            )
        self._process = process
        self._here = hello.header
        return process

    @contextmanager
    def load(self, artifact: Artifact, variant: str) -> Iterator[Runner]:
        del variant
        process = self._process if self._process is not None and self._process.alive else self.start()
        loaded = process.ask(
            Frame(
                {
                    "do": "load",
                    "signature": artifact.signature.name,
                    "threads": self._runtime.threads,
                    "in_integers": artifact.precision is Precision.INT8_IO,
                },
                {"model": np.fromfile(artifact.path, dtype=np.uint8)},
            ),
            silent_for_seconds=self._runtime.silent_for_seconds,
        )
        _check_signature(process.name, artifact, loaded.header["signature"])
        try:
            yield _EdgeRunner(self._runtime, process, artifact, self._here, loaded.header)
        finally:
            if process.alive:
                process.ask(Frame({"do": "unload"}), silent_for_seconds=self._runtime.silent_for_seconds)


class _EdgeRunner:
    """One `.tflite` file, loaded."""

    def __init__(
        self,
        runtime: EdgeProcess,
        process: RunnerProcess,
        artifact: Artifact,
        here: Mapping[str, Any],
        loaded: Mapping[str, Any],
    ) -> None:
        self._runtime = runtime
        self._process = process
        self._artifact = artifact
        self._here = here
        self._delegate = loaded["delegate"]
        integers = loaded["integers"]
        self._converted = {"quantized and dequantized by the runner": integers} if integers else {}

    @property
    def info(self) -> RuntimeInfo:
        return RuntimeInfo(
            runtime=_SHOWN[self._runtime.library],
            version=self._here["version"],
            details={
                "delegate": self._delegate,
                **self._converted,
                "threads": str(self._runtime.threads),
                **{key: self._here[key] for key in ("machine", "cpu", "system", "python")},
            },
        )

    def run(self, samples: Tensors, *, batch_size: int) -> Answers:
        try:
            answer = self._process.ask(
                Frame({"do": "run", "batch_size": batch_size}, samples),
                silent_for_seconds=self._runtime.silent_for_seconds,
            )
        except CannotTravel as error:
            raise TargetFailed(
                f"{self._process.name}, {self._artifact.label}: {error}",
                hint="the edge runner takes numbers and booleans; leave the edge targets out for this model",
            ) from error
        # It is planned anew for each batch size, so what applied is known after the call only.
        self._delegate = answer.header["delegate"]
        return Answers(outputs=answer.arrays, call_seconds=np.array(answer.header["call_seconds"], dtype=np.float64))


def _check_signature(name: str, artifact: Artifact, found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    got = {kind: {name: spec["dtype"] for name, spec in specs.items()} for kind, specs in found.items()}
    want = {
        "inputs": {spec.name: spec.dtype for spec in artifact.signature.inputs},
        "outputs": {spec.name: spec.dtype for spec in artifact.signature.outputs},
    }
    if got != want:
        raise TargetFailed(
            f"{name}: {artifact.path.name} has {got}, the model {want}",
            hint="it is another model's: make clean, then tripoint run",
        )


@functools.cache
def _installed(interpreter: str) -> Mapping[str, str] | None:
    """The TFLite libraries of another environment, with their versions; asked without importing them.

    None when the interpreter does not run, or answers as no Python does.
    """
    asked = (
        "import importlib.metadata as m, json; "
        "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
    )
    try:
        done = subprocess.run(
            (interpreter, "-I", "-c", asked), capture_output=True, timeout=_ASK_WITHIN_SECONDS, check=True, text=True
        )
        versions = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if not isinstance(versions, dict):
        return None
    return {name: versions[package] for name, package in _DISTRIBUTIONS.items() if package in versions}
