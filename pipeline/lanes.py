"""Where steps run: a thread for the workers that make artifacts, and one for each runtime that answers."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pipeline.core.target import Runtime, Session
from pipeline.steps import Step

P = ParamSpec("P")
T = TypeVar("T")


class RuntimeLane(Executor):
    """One thread that boots a runtime, runs its steps one after the other, and shuts it down."""

    def __init__(self, runtime: Runtime, scratch: Path) -> None:
        self._runtime = runtime
        self._scratch = scratch
        self._stack = ExitStack()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=type(runtime).__name__)
        self._interrupted = False
        self._thread: int | None = None
        self._booting = self._pool.submit(self._boot)

    @property
    def session(self) -> Session:
        """The booted runtime. Raises what booting raised."""
        return self._booting.result()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        def unless_interrupted() -> T:
            if self._interrupted:
                raise KeyboardInterrupt
            return fn(*args, **kwargs)

        return self._pool.submit(unless_interrupted)

    def close(self) -> Future[None]:
        """Shut the runtime down once its steps are through; the future says when that is done, or what it raised."""
        closed = self._pool.submit(self._stack.close)
        self._pool.shutdown(wait=False)
        return closed

    def interrupt(self) -> None:
        """Make the running step raise KeyboardInterrupt soon, and those that wait at once.

        The step may be inside a wait of minutes, for a server that never becomes ready; no runtime has a way of its own
        to be told.
        """
        self._interrupted = True
        if self._thread is not None and not self._booting.cancel():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread), ctypes.py_object(KeyboardInterrupt)
            )

    def _boot(self) -> Session:
        self._thread = threading.get_ident()
        self._scratch.mkdir(parents=True)
        return self._stack.enter_context(self._runtime.boot(self._scratch))


@dataclass(frozen=True, kw_only=True)
class LanesByStep:
    """The lane of each step, by the step's name."""

    lanes: Mapping[str, Executor]

    def lane_of(self, step: Step) -> Executor:
        return self.lanes[step.name]


@contextmanager
def runtime_lanes(runtimes: Mapping[str, Runtime], scratch: Path) -> Iterator[dict[str, RuntimeLane]]:
    """Boot every runtime at once, each in its own lane and under its key; all are down when the block ends.

    Errors of shutting down are raised when the block itself ended well.
    """
    lanes = {key: RuntimeLane(runtime, scratch / key) for key, runtime in runtimes.items()}
    try:
        yield lanes
    except BaseException:
        for lane in lanes.values():
            lane.interrupt()
        _settled(lanes)
        raise
    for closed in _settled(lanes):
        closed.result()


def _settled(lanes: Mapping[str, RuntimeLane]) -> list[Future[Any]]:
    closing: list[Future[Any]] = [lane.close() for lane in lanes.values()]
    for closed in closing:
        closed.exception()
    return closing
