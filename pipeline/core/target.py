"""A place where an artifact runs, and the contract that every runtime keeps."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.core.artifact import Artifact, Format
from pipeline.core.signature import Tensors


@dataclass(frozen=True, kw_only=True)
class RuntimeInfo:
    """What really ran, as the runtime itself says: never what was asked for."""

    runtime: str
    version: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What a runner answered for all samples at one batch size.

    `outputs` hold one row a sample, in the order asked. `call_seconds` (float64, one entry a batch) is the wall time of
    each call as near to the runtime as it can be taken.
    """

    outputs: Tensors
    call_seconds: NDArray[np.float64]


class Runner(Protocol):
    """One artifact, loaded in its runtime and ready to answer."""

    @property
    def info(self) -> RuntimeInfo: ...

    def run(self, samples: Tensors, *, batch_size: int) -> Answers:
        """Answer all samples, in batches of `batch_size`, the last one shorter; outputs under signature names.

        Raises TargetFailed when the runtime breaks, does not answer in time or answers another number of rows.
        """
        ...


@runtime_checkable
class ManyClients(Protocol):
    """What a runner is, beside a Runner, when several clients may ask the same loaded artifact at once."""

    def another_client(self) -> AbstractContextManager[Runner]:
        """Yield a runner of the same artifact that another thread may use meanwhile."""
        ...


class Session(Protocol):
    """A runtime that is up. Not thread-safe: one artifact after the other."""

    def load(self, artifact: Artifact, variant: str) -> AbstractContextManager[Runner]:
        """Yield a runner for the artifact on one of the runtime's variants (a backend, a protocol); free it afterwards.

        Raises TargetFailed when the artifact does not load there.
        """
        ...


class Runtime(Protocol):
    """What takes long to start and is shared by targets: a browser, a model server, an edge process.

    Implementations are frozen dataclasses: their fields are their settings, so that equal runtimes are started once and
    a change of settings makes old recordings stale.
    """

    def missing(self) -> str | None:
        """Why this machine cannot start it, with the mend, or None. Quick, and without importing anything heavy."""
        ...

    def settings(self) -> Mapping[str, str]:
        """What must be equal for an old recording to be reused (engine, image, browser executable and its version)."""
        ...

    def boot(self, scratch: Path) -> AbstractContextManager[Session]:
        """Start it; `scratch` is an empty folder of its own for logs and sockets. Gone afterwards, whatever happens."""
        ...


@runtime_checkable
class SideBySide(Protocol):
    """What a runtime is, beside a Runtime, when several of it answer sooner than one."""

    @property
    def copies(self) -> int:
        """How many of it this machine should start for one run."""
        ...


@dataclass(frozen=True, kw_only=True)
class Target:
    """A line of the report: artifacts of one format on one variant of a runtime, such as `browser/wasm`."""

    name: str
    consumes: Format
    runtime: Runtime
    variant: str
