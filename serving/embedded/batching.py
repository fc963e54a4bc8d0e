"""Merges small calls into batches, as TensorFlow Serving's `--enable_batching` and its parameters file define it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from serving.embedded.batch_arrays import merged, row_shapes, rows_of
from serving.embedded.inference import Call
from serving.embedded.run import STOP_SECONDS
from serving.embedded.status import Code, ServingError, invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.embedded.batching_options import BatchingOptions
    from serving.embedded.metrics import Metrics
    from serving.embedded.servable import Plan

    Done = Callable[[list[np.ndarray] | ServingError], None]


log = logging.getLogger("serving.embedded")


@dataclass(kw_only=True, slots=True)
class _Task:
    call: Call
    size: int
    done: Done
    enqueued: float = field(default_factory=time.perf_counter)


@dataclass(kw_only=True, slots=True)
class _Batch:
    key: object
    tasks: list[_Task] = field(default_factory=list)
    size: int = 0

    def add(self, task: _Task) -> None:
        self.tasks.append(task)
        self.size += task.size


class BatchingRunner:
    """Collects calls of one plan until a batch is full or has waited long enough, and runs it as one call.

    Two differences from TensorFlow Serving, both so that one client cannot spoil another's answer: calls whose inputs
    have different shapes never meet in a batch, and the calls of a batch that fails are run again one by one.
    """

    def __init__(self, options: BatchingOptions, metrics: Metrics) -> None:
        self._options = options
        self._metrics = metrics
        self._lock = threading.Condition()
        self._open: dict[object, _Batch] = {}
        self._full: deque[_Batch] = deque()
        self._waiting: dict[object, int] = {}
        """Batches of each kind that no thread has taken yet."""
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{index}", daemon=True)
            for index in range(options.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Call, done: Done) -> None:
        """Queue the call; a refusal comes through `done` like any other outcome."""
        try:
            size = rows_of(call.arrays)
            limit = self._options.max_batch_size
            if size > limit:
                raise invalid(f"Task size {size} is larger than maximum input batch size {limit}")
            parts = self._parts(call, size, done)
            with self._lock:
                for part in parts:
                    self._enqueue(part)
                self._lock.notify(len(parts))
        except ServingError as error:
            done(error)

    def run(self, call: Call) -> list[np.ndarray]:
        """Queue the call and wait for it. Raises ServingError."""
        ready = threading.Event()
        outcomes: list[list[np.ndarray] | ServingError] = []

        def done(outcome: list[np.ndarray] | ServingError) -> None:
            outcomes.append(outcome)
            ready.set()

        self.submit(call, done)
        ready.wait()
        outcome = outcomes[0]
        if isinstance(outcome, ServingError):
            raise outcome
        return outcome

    def close(self) -> None:
        """Run what is queued and end the threads."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _parts(self, call: Call, size: int, done: Done) -> list[_Task]:
        step = self._options.max_execution_batch_size
        if size <= step:
            return [_Task(call=call, size=size, done=done)]
        gather = _Gather(count=-(-size // step), done=done)
        return [
            _Task(
                call=Call(
                    plan=call.plan,
                    arrays=[array[start : start + step] for array in call.arrays],
                    aliases=call.aliases,
                ),
                size=min(step, size - start),
                done=gather.part(index),
            )
            for index, start in enumerate(range(0, size, step))
        ]

    def _enqueue(self, task: _Task) -> None:
        plan = task.call.plan
        key: object = plan if self._options.pad_variable_length_inputs else (plan, row_shapes(task.call.arrays))
        batch = self._open.get(key)
        if batch is None or batch.size + task.size > self._options.max_execution_batch_size:
            if self._waiting.get(key, 0) >= self._options.max_enqueued_batches:
                raise ServingError(
                    Code.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"
                )
            if batch is not None:
                self._full.append(batch)
            batch = self._open[key] = _Batch(key=key)
            self._waiting[key] = self._waiting.get(key, 0) + 1
        batch.add(task)
        if batch.size >= self._options.max_execution_batch_size:
            self._full.append(self._open.pop(key))

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            try:
                self._process(batch)
            except Exception:
                # A fault of ours must not cost the thread, nor clients their answer.
                log.exception("a batch failed")
                for task in batch.tasks:
                    task.done(ServingError(Code.INTERNAL, "Internal error; the server's log has the details"))
            # A thread that waits must not keep the last batch's arrays alive.
            del batch

    def _next(self) -> _Batch | None:
        with self._lock:
            while True:
                batch = self._take()
                if batch is not None:
                    left = self._waiting[batch.key] - 1
                    if left:
                        self._waiting[batch.key] = left
                    else:
                        del self._waiting[batch.key]
                    return batch
                if self._closed:
                    return None
                self._lock.wait(self._seconds_until_due())

    def _take(self) -> _Batch | None:
        if self._full:
            return self._full.popleft()
        if not self._open:
            return None
        key, batch = min(self._open.items(), key=lambda item: item[1].tasks[0].enqueued)
        due = batch.tasks[0].enqueued + self._options.batch_timeout_micros / 1e6
        return self._open.pop(key) if self._closed or due <= time.perf_counter() else None

    def _seconds_until_due(self) -> float | None:
        if not self._open:
            return None
        first = min(batch.tasks[0].enqueued for batch in self._open.values())
        return max(first + self._options.batch_timeout_micros / 1e6 - time.perf_counter(), 0.0)

    def _process(self, batch: _Batch) -> None:
        now = time.perf_counter()
        for task in batch.tasks:
            self._metrics.queuing_latency.observe(value=(now - task.enqueued) * 1e6)
        try:
            outputs = self._run_merged(batch)
        except ServingError as error:
            if len(batch.tasks) == 1:
                batch.tasks[0].done(error)
                return
            for task in batch.tasks:
                task.done(_outcome(task.call))
            return
        start = 0
        for task in batch.tasks:
            task.done([output[start : start + task.size] for output in outputs])
            start += task.size

    def _run_merged(self, batch: _Batch) -> list[np.ndarray]:
        plan: Plan = batch.tasks[0].call.plan
        rows = self._options.padded_size(batch.size)
        inputs = [
            merged([task.call.arrays[index] for task in batch.tasks], rows - batch.size)
            for index in range(len(plan.feeds))
        ]
        self._metrics.batch_runs.add()
        outputs = plan.run(inputs)
        for output in outputs:
            if not output.ndim:
                raise ServingError(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
            if output.shape[0] != rows:
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                    "input tensors",
                )
        return outputs


class _Gather:
    """Puts the parts of a split call together again."""

    def __init__(self, *, count: int, done: Done) -> None:
        self._left = count
        self._outcomes: list[list[np.ndarray] | ServingError | None] = [None] * count
        self._done = done
        self._lock = threading.Lock()

    def part(self, index: int) -> Done:
        def done(outcome: list[np.ndarray] | ServingError) -> None:
            with self._lock:
                self._outcomes[index] = outcome
                self._left -= 1
                if self._left:
                    return
            error = next((found for found in self._outcomes if isinstance(found, ServingError)), None)
            whole = [found for found in self._outcomes if isinstance(found, list)]
            self._done(error or [np.concatenate(parts) for parts in zip(*whole, strict=True)])

        return done


def _outcome(call: Call) -> list[np.ndarray] | ServingError:
    try:
        return call.run()
    except ServingError as error:
        return error
