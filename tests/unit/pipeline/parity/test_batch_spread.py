"""How far batch sizes are apart is measured over every sample, and over nothing that cannot be measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.parity.batch_spread import batch_spread
from pipeline.parity.comparison import BatchSpread


def spread(*answers: NDArray[Any]) -> BatchSpread:
    return batch_spread("y", {size: {"y": answer} for size, answer in enumerate(answers, start=1)})


@pytest.mark.parametrize("sample", [0, 1, 6])
def test_every_sample_counts(sample: int) -> None:
    """Otherwise a runtime that gets the first of a batch wrong would look steady."""
    apart = np.zeros((7, 3))
    apart[sample, 2] = -0.5
    assert spread(np.zeros((7, 3)), apart).spread == 0.5


@pytest.mark.parametrize("sample", [0, 1, 2])
def test_an_answer_larger_than_a_block_is_measured_whole(sample: int) -> None:
    """Otherwise large outputs would be measured in part, or not at all."""
    large = np.zeros((3, 140_000), np.float32)
    apart = large.copy()
    apart[sample, -1] = 2.0
    assert spread(large, apart).spread == 2.0


def test_without_samples_nothing_is_apart() -> None:
    """Otherwise an empty test split would end in an error of NumPy."""
    assert spread(np.zeros((0, 3)), np.zeros((0, 3))) == BatchSpread(output="y", spread=0.0)
    assert spread(np.zeros((0, 3))) == BatchSpread(output="y", spread=0.0)
    assert spread(np.ones((1, 1)), np.zeros((1, 1))).spread == 1.0
    # Of one batch size, too.
    assert spread(np.ones((2, 2))).spread == 0.0


@pytest.mark.parametrize(
    "answers",
    [
        (np.zeros((2, 3)), np.zeros((2, 2))),
        (np.zeros((2, 3)), np.zeros((0, 3))),
        (np.float32(1.0), np.float32(1.0)),
        (np.array(["a"], object), np.array(["b"], object)),
        (np.array(["X"]), np.array(["X"])),
        (np.array([1j]), np.array([2j])),
    ],
)
def test_what_cannot_be_measured_has_no_spread(answers: tuple[NDArray[Any], ...]) -> None:
    """Otherwise texts, or answers of two shapes, would be taken from each other."""
    assert spread(*(np.asarray(answer) for answer in answers)).spread is None
