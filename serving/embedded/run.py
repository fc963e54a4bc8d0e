"""Where TensorFlow runs: a pool of threads that takes one call after the other and hands each result on."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Protocol

from serving.embedded.status import ServingError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from serving.embedded.inference import Call


log = logging.getLogger("serving.embedded")

STOP_SECONDS = 2.0
"""How long the end waits for a thread whose run hangs in TensorFlow."""


class Runner(Protocol):
    """Runs prepared calls. `submit` hands the outputs, or the error, to `done` on a thread of its own choice."""

    def submit(self, call: Call, done: Callable[[list[np.ndarray] | ServingError], None]) -> None: ...

    def run(self, call: Call) -> list[np.ndarray]: ...

    def close(self) -> None: ...


class PooledRunner:
    """Each call by itself, on one of a fixed number of threads."""

    def __init__(self, threads: int) -> None:
        self._queue: queue.SimpleQueue[tuple[Call, Callable[[list[np.ndarray] | ServingError], None]] | None]
        self._queue = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"run-{index}", daemon=True) for index in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Call, done: Callable[[list[np.ndarray] | ServingError], None]) -> None:
        self._queue.put((call, done))

    def run(self, call: Call) -> list[np.ndarray]:
        """On the caller's own thread."""
        return call.run()

    def close(self) -> None:
        """Finish what is queued and end the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            call, done = task
            try:
                outcome: list[np.ndarray] | ServingError = call.run()
            except ServingError as error:
                outcome = error
            try:
                done(outcome)
            except Exception:
                # A fault of ours in one answer must not cost the thread that all others need.
                log.exception("an outcome could not be handed on")
            # Nothing may hold the request's arrays while this thread waits for the next.
            del task, call, done, outcome
