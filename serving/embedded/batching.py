"""Merges small calls into batches, as TensorFlow Serving's `--enable_batching` and its parameters file define it."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.embedded.inference import Call
from serving.embedded.status import Code, ServingError, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serving.embedded.metrics import Metrics
    from serving.embedded.servable import Plan

    Done = Callable[[list[np.ndarray] | ServingError], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchingOptions:
    """TensorFlow Serving's batching parameters, with its defaults."""

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    split_large: bool = False
    max_execution_batch_size: int

    @classmethod
    def from_proto(cls, proto: Any, *, cpus: int) -> BatchingOptions:
        """The options of a BatchingParameters message. Raises ServingError where they contradict one another."""

        def value(name: str, default: int) -> int:
            given = int(getattr(proto, name).value) if proto.HasField(name) else default
            if given < (0 if name == "batch_timeout_micros" else 1):
                raise invalid(f"{name} must be positive; was {given}")
            return given

        largest = value("max_batch_size", 1000)
        split = proto.enable_large_batch_splitting.value
        execution = value("max_execution_batch_size", largest)
        if execution > largest:
            raise invalid(f"max_execution_batch_size ({execution}) must not exceed max_batch_size ({largest})")
        allowed = tuple(int(size) for size in proto.allowed_batch_sizes)
        if any(later <= earlier for earlier, later in pairwise(allowed)):
            raise invalid("allowed_batch_sizes entries must be monotonically increasing")
        last = execution if split else largest
        if allowed and allowed[-1] != last:
            raise invalid(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{allowed[-1]}; expected {last}"
            )
        return cls(
            max_batch_size=largest,
            batch_timeout_micros=value("batch_timeout_micros", 0),
            max_enqueued_batches=value("max_enqueued_batches", 10),
            num_batch_threads=value("num_batch_threads", cpus),
            allowed_batch_sizes=allowed,
            pad_variable_length_inputs=proto.pad_variable_length_inputs,
            split_large=split,
            max_execution_batch_size=execution if split else largest,
        )

    def padded_size(self, size: int) -> int:
        """The smallest allowed size that holds so many rows."""
        return next((allowed for allowed in self.allowed_batch_sizes if allowed >= size), size)


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
            size = _rows(call.arrays)
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
            thread.join()

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
        key: object = plan if self._options.pad_variable_length_inputs else (plan, _row_shapes(task.call.arrays))
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
            self._process(batch)
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
        merged = [
            _merged([task.call.arrays[index] for task in batch.tasks], rows - batch.size)
            for index in range(len(plan.feeds))
        ]
        self._metrics.batch_runs.add()
        outputs = plan.run(merged)
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


def _rows(arrays: Sequence[np.ndarray]) -> int:
    """The number of rows that all inputs have. Raises INVALID_ARGUMENT."""
    if not arrays:
        raise invalid("Batching session Run() must have at least one input tensor")
    for array in arrays:
        if not array.ndim:
            raise invalid("Batching session Run() input tensors must have at least one dimension")
        if array.shape[0] != arrays[0].shape[0]:
            raise invalid("Batching session Run() input tensors must have equal 0th-dimension size")
    return int(arrays[0].shape[0])


def _row_shapes(arrays: Sequence[np.ndarray]) -> tuple[tuple[int, ...], ...]:
    return tuple(array.shape[1:] for array in arrays)


def _merged(arrays: list[np.ndarray], padding: int) -> np.ndarray:
    """One array of all rows, and `padding` copies of the last call's first row, which is known to be valid."""
    if len(arrays) == 1 and not padding:
        return arrays[0]
    if len({array.shape[1:] for array in arrays}) > 1:
        arrays = _padded_alike(arrays)
    if padding:
        arrays = [*arrays, np.repeat(arrays[-1][:1], padding, axis=0)]
    return np.concatenate(arrays)


def _padded_alike(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Every dimension but the first grown to the largest, filled with each array's own first value."""
    if len({array.ndim for array in arrays}) > 1:
        raise ServingError(Code.FAILED_PRECONDITION, "Tensors of one name from different tasks have different ranks")
    sizes = [max(array.shape[axis] for array in arrays) for axis in range(1, arrays[0].ndim)]
    grown = []
    for array in arrays:
        widths = [(0, 0), *((0, size - have) for size, have in zip(sizes, array.shape[1:], strict=True))]
        grown.append(np.pad(array, widths, constant_values=array.flat[0]) if array.size else array)
    return grown
