"""Workers and runtimes that outlive one run, for whoever runs many models one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from pipeline.core.progress import Observer
from pipeline.core.target import Runtime, Session
from pipeline.workers import Workers, workers


@dataclass(kw_only=True)
class Standing:
    """What is up. Runtimes of the kinds `kept` are booted once, at their first use; the others for each run anew."""

    workers: Workers
    kept: tuple[type, ...]
    _scratch: Path
    _stack: ExitStack
    _sessions: dict[Runtime, tuple[Session, ExitStack]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def runtime(self, runtime: Runtime) -> Runtime:
        """The runtime itself, or one whose boot gives what is up already."""
        return _Kept(runtime=runtime, standing=self) if isinstance(runtime, self.kept) else runtime

    def session(self, runtime: Runtime) -> Session:
        """The session of a kept runtime. Raises what booting raises."""
        with self._lock:
            if runtime not in self._sessions:
                scratch = self._scratch / f"{next(self._numbers)}-{type(runtime).__name__.lower()}"
                scratch.mkdir(parents=True)
                stack = self._stack.enter_context(ExitStack())
                self._sessions[runtime] = (stack.enter_context(runtime.boot(scratch)), stack)
            return self._sessions[runtime][0]

    def restart(self) -> None:
        """Shut the kept runtimes down; the next use boots them anew. For after a failure, whose traces might stay."""
        with self._lock:
            for _, stack in self._sessions.values():
                stack.close()
            self._sessions.clear()


@dataclass(frozen=True, kw_only=True)
class _Kept:
    runtime: Runtime
    standing: Standing = field(compare=False, repr=False)

    def missing(self) -> str | None:
        return self.runtime.missing()

    def settings(self) -> Mapping[str, str]:
        return self.runtime.settings()

    def boot(self, scratch: Path) -> AbstractContextManager[Session]:
        del scratch
        return self._booted()

    @contextmanager
    def _booted(self) -> Iterator[Session]:
        yield self.standing.session(self.runtime)


@contextmanager
def standing(*, logs: Path, scratch: Path, observer: Observer, kept: tuple[type, ...]) -> Iterator[Standing]:
    """Yield what several runs may share; nothing of it is left when the block ends."""
    logs.mkdir(parents=True, exist_ok=True)
    with workers(logs=logs, observer=observer) as crew, ExitStack() as stack:
        yield Standing(workers=crew, kept=kept, _scratch=scratch, _stack=stack)
