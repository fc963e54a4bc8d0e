"""The task's own error is given for both sides, with how far the difference can be trusted."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.parity.compare import OutputComparer
from pipeline.parity.tolerances import Tolerance

TOLERANCE = Tolerance(atol=1.0, rtol=0.0, reason="for the test", source="the test")


def test_a_target_that_is_worse_at_the_task_is_said_to_be_so_by_how_much() -> None:
    """Otherwise a regression model would have no figure that its user cares for."""
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(200, 2))
    want, got = targets + 0.1, targets + 0.3
    comparer = OutputComparer("price", TOLERANCE)
    for part in (slice(0, 50), slice(50, 200)):
        comparer.feed(want[part], got[part], targets=targets[part])
    task = comparer.finish().task
    assert task is not None
    assert task.metric == "mean absolute error"
    assert (task.reference, task.target, task.difference) == pytest.approx((0.1, 0.3, 0.2))
    assert task.difference_interval.low == pytest.approx(0.2)


def test_an_answer_that_is_not_finite_leaves_no_mean() -> None:
    """Otherwise the error of the rest would stand for all."""
    want = np.arange(4.0)[:, np.newaxis]
    got = want.copy()
    got[2] = np.nan
    comparer = OutputComparer("price", TOLERANCE)
    comparer.feed(want, got, targets=want)
    assert comparer.finish().task is None
