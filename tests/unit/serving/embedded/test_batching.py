"""Calls that are merged get the rows that are theirs, and no call spoils another's."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from serving.embedded.batching import BatchingRunner
from serving.embedded.batching_options import BatchingOptions
from serving.embedded.configs import default_batching_parameters
from serving.embedded.inference import Call
from serving.embedded.metrics import Metrics
from serving.embedded.status import Code, ServingError


class DoublingPlan:
    """Doubles its input; a negative value is an error, as a bad index would be. Can be held up."""

    feeds = ("x",)

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.may_run = threading.Event()
        self.may_run.set()

    def run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        self.may_run.wait(5)
        self.sizes.append(arrays[0].shape[0])
        if (arrays[0] < 0).any():
            raise ServingError(Code.INVALID_ARGUMENT, "negative")
        return [arrays[0] * 2]


def call(plan: Any, *values: float) -> Call:
    return Call(plan=plan, arrays=[np.array(values, np.float32)], aliases=("y",))


@contextmanager
def batching(**settings: Any) -> Iterator[BatchingRunner]:
    options = {"num_batch_threads": 1, "max_batch_size": 4, "batch_timeout_micros": 100_000, **settings}
    options.setdefault("max_execution_batch_size", options["max_batch_size"])
    runner = BatchingRunner(BatchingOptions(**options), Metrics())
    try:
        yield runner
    finally:
        runner.close()


def submit_all(runner: BatchingRunner, calls: Sequence[Call]) -> list[Any]:
    """The outcome of each, in order: values, or the text of the refusal."""
    found: dict[int, Any] = {}
    done = threading.Semaphore(0)
    for index, one in enumerate(calls):

        def take(outcome: list[np.ndarray] | ServingError, index: int = index) -> None:
            found[index] = str(outcome) if isinstance(outcome, ServingError) else outcome[0].tolist()
            done.release()

        runner.submit(one, take)
    for _ in calls:
        assert done.acquire(timeout=10)
    return [found[index] for index in range(len(calls))]


def test_calls_meet_in_one_run_and_get_their_own_rows() -> None:
    """Batching would cost as much as not batching, or mix up clients."""
    plan = DoublingPlan()
    with batching() as runner:
        assert submit_all(runner, [call(plan, 1), call(plan, 2, 3), call(plan, 4)]) == [[2], [4, 6], [8]]
    assert plan.sizes == [4]


def test_a_lonely_call_waits_no_longer_than_the_timeout() -> None:
    """It would wait for company that never comes."""
    plan = DoublingPlan()
    with batching(batch_timeout_micros=1000) as runner:
        assert submit_all(runner, [call(plan, 1)]) == [[2]]


def test_batches_are_padded_to_an_allowed_size() -> None:
    """Accelerators compile one program for each size."""
    plan = DoublingPlan()
    with batching(max_batch_size=8, allowed_batch_sizes=(2, 4, 8), batch_timeout_micros=1000) as runner:
        assert submit_all(runner, [call(plan, 1, 2, 3)]) == [[2, 4, 6]]
    assert plan.sizes == [4]


def test_a_call_that_is_too_large_is_refused_in_the_original_words() -> None:
    """Recorded: 400, with this text."""
    plan = DoublingPlan()
    with batching() as runner:
        assert submit_all(runner, [call(plan, 1, 2, 3, 4, 5)]) == [
            "INVALID_ARGUMENT: Task size 5 is larger than maximum input batch size 4"
        ]


def test_large_calls_are_split_if_asked() -> None:
    """`enable_large_batch_splitting` would silently do nothing."""
    plan = DoublingPlan()
    with batching(max_batch_size=8, max_execution_batch_size=2, split_large=True) as runner:
        assert submit_all(runner, [call(plan, 1, 2, 3, 4, 5)]) == [[2, 4, 6, 8, 10]]
    assert max(plan.sizes) <= 2


def test_one_bad_call_does_not_spoil_its_neighbours() -> None:
    """One client's bad value would be every client's error."""
    plan = DoublingPlan()
    with batching() as runner:
        outcomes = submit_all(runner, [call(plan, 1), call(plan, -1), call(plan, 3), call(plan, 4)])
    assert outcomes == [[2], "INVALID_ARGUMENT: negative", [6], [8]]


def test_different_shapes_never_meet_unless_padding_is_asked_for() -> None:
    """TensorFlow Serving fails the whole batch here; the clients did nothing wrong."""
    plan = DoublingPlan()
    wide, narrow = np.ones((1, 3), np.float32), np.ones((1, 2), np.float32)
    calls = [Call(plan=plan, arrays=[array], aliases=("y",)) for array in (wide, narrow)]  # type: ignore[arg-type]  # a stand-in
    with batching(batch_timeout_micros=1000) as runner:
        assert submit_all(runner, calls) == [[[2, 2, 2]], [[2, 2]]]
    with batching(batch_timeout_micros=50_000, pad_variable_length_inputs=True) as runner:
        assert submit_all(runner, calls) == [[[2, 2, 2]], [[2, 2, 2]]]


def test_a_full_queue_refuses_at_once() -> None:
    """Without a bound, a slow model would fill memory with requests."""
    plan = DoublingPlan()
    plan.may_run.clear()
    with batching(max_batch_size=1, max_enqueued_batches=1) as runner:
        refused: list[str] = []
        for _ in range(4):
            runner.submit(
                call(plan, 1),
                lambda outcome: refused.append(str(outcome)) if isinstance(outcome, ServingError) else None,
            )
        plan.may_run.set()
    assert refused
    assert set(refused) == {"UNAVAILABLE: The batch scheduling queue to which this task was submitted is full"}


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ([np.float32(1)], "must have at least one dimension"),
        ([np.zeros(2, np.float32), np.zeros(3, np.float32)], "must have equal 0th-dimension size"),
        ([], "must have at least one input tensor"),
    ],
)
def test_inputs_without_rows_are_refused(arrays: list[Any], text: str) -> None:
    """They cannot be cut apart again."""
    with batching() as runner:
        (outcome,) = submit_all(runner, [Call(plan=DoublingPlan(), arrays=[np.asarray(a) for a in arrays], aliases=())])  # type: ignore[arg-type]  # a stand-in
        assert text in str(outcome)


def test_contradictory_parameters_are_refused() -> None:
    """A typo would change how requests are merged without a word."""
    proto = default_batching_parameters()
    proto.max_batch_size.value = 4
    proto.allowed_batch_sizes.extend([2, 8])
    with pytest.raises(ServingError, match="Last entry in allowed_batch_sizes must match max_batch_size"):
        BatchingOptions.from_proto(proto, cpus=2)
