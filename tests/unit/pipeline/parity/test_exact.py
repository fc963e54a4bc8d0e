"""What cannot be rounding must be equal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.parity.findings import (
    NotEqual,
)
from tests.unit.pipeline.parity.answers import (
    Compared,
    kinds,
)


@pytest.mark.parametrize(
    ("want", "got", "sentence"),
    [
        (
            np.array([1, 2, 3], np.int64),
            np.array([1, 2, 2**53 + 1], np.int64),
            "scores: 1 of 3 values are not equal; first at (2): 9007199254740993, expected 3",
        ),
        (
            np.array([True, False]),
            np.array([True, True]),
            "scores: 1 of 2 values are not equal; first at (1): True, expected False",
        ),
        (
            np.array([b"cat", b"dog"], object),
            np.array(["cat", "cow"]),
            "scores: 1 of 2 values are not equal; first at (1): 'cow', expected 'dog'",
        ),
    ],
)
def test_integers_booleans_and_text_must_be_equal(
    compared: Compared, want: NDArray[Any], got: NDArray[Any], sentence: str
) -> None:
    """Otherwise a tolerance for rounding would excuse what cannot be rounding."""
    comparison = compared(want, got)
    assert kinds(comparison) == [NotEqual]
    assert comparison.findings[0].sentence == f"{sentence} (this dtype must be exactly equal)"


def test_text_and_its_utf8_bytes_are_the_same(compared: Compared) -> None:
    """Otherwise REST and gRPC could never agree on a string output."""
    want = np.array(["Zürich", "Bern"], object)
    assert compared(want, np.array([text.encode() for text in want], object)).findings == ()


def test_large_integers_are_not_compared_as_floats(compared: Compared) -> None:
    """Otherwise neighbours above 2^53 would be equal."""
    want = np.array([2**60, 0], np.int64)
    assert kinds(compared(want, want + np.array([1, 0]))) == [NotEqual]
