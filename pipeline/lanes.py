"""Where steps run: a thread for the workers that make artifacts, and one for each runtime that answers."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pipeline.core.target import Runtime, Session
from pipeline.steps import Step

P = ParamSpec("P")
T = TypeVar("T")

_ARRIVES_WITHIN_SECONDS = 0.1
_BOOTS_WITHIN_SECONDS = 5.0
_HEARS_WITHIN_SECONDS = 0.1


class Turns:
    """Who answers while artifacts are still made: as many runtimes as there are cores to spare, and all of them later.

    All at once, they would slow down the conversions that the rest of them waits for.
    """

    def __init__(self, *, at_once: int) -> None:
        self._at_once = at_once
        self._answering = 0
        self._being_made = 0
        self._changed = threading.Condition()

    def made_first(self, artifact: Future[Any]) -> None:
        """Let others wait until this is there."""
        self._count(being_made=1)
        artifact.add_done_callback(lambda _: self._count(being_made=-1))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and hold it."""
        with self._changed:
            while self._being_made and self._answering >= self._at_once:
                # Not for ever at a time: a thread that waits for a lock does not hear that it is interrupted.
                self._changed.wait(_HEARS_WITHIN_SECONDS)
            self._answering += 1
        try:
            yield
        finally:
            self._count(answering=-1)

    def _count(self, *, being_made: int = 0, answering: int = 0) -> None:
        with self._changed:
            self._being_made += being_made
            self._answering += answering
            self._changed.notify_all()


@dataclass(frozen=True, kw_only=True)
class FirstLane(Executor):
    """The lane of steps that go before answers."""

    lane: Executor
    turns: Turns

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        submitted = self.lane.submit(fn, *args, **kwargs)
        self.turns.made_first(submitted)
        return submitted


class RuntimeLane(Executor):
    """One thread that boots a runtime, runs its steps one after the other, and shuts it down after the last of them."""

    def __init__(self, runtime: Runtime, scratch: Path, *, steps: int, turns: Turns) -> None:
        self._runtime = runtime
        self._scratch = scratch
        self._turns = turns
        self._stack = ExitStack()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=type(runtime).__name__)
        self._lock = threading.RLock()
        self._interrupted = threading.Event()
        self._busy_thread: int | None = None
        self._steps_left = steps
        self._begun = False
        self._booting = self._pool.submit(self._interruptibly, self._boot)
        self._closing: Future[None] | None = None

    @property
    def session(self) -> Session:
        """The booted runtime. Raises what booting raised."""
        return self._booting.result()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with self._lock:
            submitted = self._pool.submit(self._interruptibly, lambda: self._in_turn(lambda: fn(*args, **kwargs)))
            self._begun = True
            self._steps_left -= 1
            if self._steps_left == 0:
                # Shutting down takes up to a second, which is no time lost while other runtimes still answer.
                self.close()
            return submitted

    def before_steps(self, do: Callable[[Session], None]) -> Future[None] | None:
        """Call `do` before the first step; None when that is here already."""
        with self._lock:
            if self._begun or self._closing is not None:
                return None
            return self._pool.submit(self._interruptibly, lambda: do(self.session))

    def close(self) -> Future[None]:
        """Shut the runtime down once its steps are through; the future says when that is done, or what it raised."""
        with self._lock:
            if self._closing is None:
                self._closing = self._pool.submit(self._stack.close)
                self._pool.shutdown(wait=False)
            return self._closing

    def refuse(self) -> Future[Session]:
        """Let no step begin any more. Returns the future of the boot, which may still be under way."""
        with self._lock:
            self._interrupted.set()
        return self._booting

    def interrupt(self) -> None:
        """Make what is under way raise KeyboardInterrupt soon; `refuse` comes first.

        It may be inside a wait of minutes, for a server that never becomes ready or an image that is pulled; no runtime
        has a way of its own to be told.
        """
        with self._lock:
            if self._busy_thread is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._busy_thread), ctypes.py_object(KeyboardInterrupt)
                )

    def _boot(self) -> Session:
        self._scratch.mkdir(parents=True)
        return self._stack.enter_context(self._runtime.boot(self._scratch))

    def _in_turn(self, run: Callable[[], T]) -> T:
        with self._turns.turn():
            return run()

    def _interruptibly(self, run: Callable[[], T]) -> T:
        with self._lock:
            if self._interrupted.is_set():
                raise KeyboardInterrupt
            self._busy_thread = threading.get_ident()
        try:
            return run()
        finally:
            with self._lock:
                self._busy_thread = None
            if self._interrupted.is_set():
                # The exception is on its way. Outside this function it would end the pool's thread, which still has to
                # shut the runtime down.
                time.sleep(_ARRIVES_WITHIN_SECONDS)


@dataclass(frozen=True, kw_only=True)
class LanesByStep:
    """The lane of each step, by the step's name."""

    lanes: Mapping[str, Executor]

    def lane_of(self, step: Step) -> Executor:
        return self.lanes[step.name]


@contextmanager
def runtime_lanes(
    runtimes: Mapping[str, Runtime], scratch: Path, *, steps: Mapping[str, int], turns: Turns
) -> Iterator[dict[str, RuntimeLane]]:
    """Boot every runtime at once, each in its own lane and under its key; all are down when the block ends.

    `steps` says how many steps each lane will get at most: after that many it is shut down. Errors
    of shutting down are raised when the block itself ended well.
    """
    lanes = {
        key: RuntimeLane(runtime, scratch / key, steps=steps[key], turns=turns) for key, runtime in runtimes.items()
    }
    try:
        yield lanes
    except BaseException:
        # An exception amid the start of a thread or a process would leave that behind, and booting takes a second.
        wait([lane.refuse() for lane in lanes.values()], timeout=_BOOTS_WITHIN_SECONDS)
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
