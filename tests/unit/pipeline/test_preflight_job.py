"""What preflight asks of a file that has loaded."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Tensors, sample_count
from pipeline.core.target import Answers, RuntimeInfo
from pipeline.preflight_job import _ask


class _Runner:
    """Notes what it is asked, and fails at one batch size as some kernels do."""

    info = RuntimeInfo(runtime="none", version="0", details={})

    def __init__(self, *, fails_at: int = 0) -> None:
        self.asked: list[tuple[int, int]] = []
        self._fails_at = fails_at

    def run(self, samples: Tensors, *, batch_size: int) -> Answers:
        self.asked.append((sample_count(samples), batch_size))
        if batch_size == self._fails_at:
            raise TargetFailed("Div only supports FLOAT32", hint="leave it out")
        return Answers(outputs={}, call_seconds=np.zeros(1))


SAMPLES = {"x": np.zeros((20, 3), np.float32)}


def test_a_file_is_asked_at_the_two_smallest_batch_sizes() -> None:
    """A kernel that is missing for integers shows only when called: preflight had said `runs`."""
    runner = _Runner()
    _ask(runner, SAMPLES, (64, 7, 1))
    assert runner.asked == [(1, 1), (7, 7)]


def test_a_failing_second_batch_size_is_not_lost() -> None:
    with pytest.raises(TargetFailed, match="Div only supports"):
        _ask(_Runner(fails_at=7), SAMPLES, (1, 7, 64))
