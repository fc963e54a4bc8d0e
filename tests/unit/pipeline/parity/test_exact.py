"""What cannot be rounding must be equal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.parity.exact import ExactTally, scalar
from pipeline.parity.figures import ExactFigures
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


def test_chunks_are_counted_together_and_places_are_whole() -> None:
    """Otherwise a fault in the second half of the samples would be looked for in the first."""
    tally = ExactTally("label")
    assert tally.figures() == ExactFigures(elements=0, mismatches=0, varies=False)
    want = np.arange(24).reshape(4, 2, 3)
    got = want.copy()
    got[3, 1, 2] = got[2, 0, 0] = -1
    # The first half is equal, and the same in each row.
    used = [tally.add(np.zeros((2, 2, 3), int), np.zeros((2, 2, 3), int))]
    used += [tally.add(want[part], got[part]) for part in (slice(0, 3), slice(3, 4))]
    assert np.concatenate(used).tolist() == [0, 0, 0, 0, np.inf, np.inf]
    assert tally.figures() == ExactFigures(elements=36, mismatches=2, varies=True)
    assert tally.finding() == NotEqual(output="label", mismatches=2, total=36, place=(4, 0, 0), want=12, got=-1)
    places = ExactTally("label")
    for part in (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 4)):
        places.add(want[part], want[part] + (want[part] == 23))
    found = places.finding()
    assert found is not None
    assert found.place == (3, 1, 2)


def test_answers_that_differ_between_chunks_only_vary() -> None:
    """Otherwise the verdict on labels would depend on how many samples are read at once."""
    tally = ExactTally("label")
    for value in (1, 2):
        tally.add(np.array([value]), np.array([value]))
    assert tally.figures().varies


def test_labels_that_never_vary_prove_nothing(compared: Compared) -> None:
    """Otherwise a target that always answers the same would agree with a model that does."""
    comparison = compared(np.ones(4, np.int64), np.ones(4, np.int64))
    assert comparison.vacuous == (
        "the reference gives the same answer to every sample, so a target that ignores its input agrees, too"
    )
    assert (comparison.samples, comparison.figures) == (4, ExactFigures(elements=4, mismatches=0, varies=False))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.0), 0.0),
        (np.float32(np.nan), "NaN"),
        (np.float32(np.inf), "Infinity"),
        (np.float16(-np.inf), "-Infinity"),
        (np.int8(-3), -3),
        (np.bool_(True), True),  # noqa: FBT003  # the value itself
        (np.complex64(1 + 2j), "(1+2j)"),
        (b"Z\xfcrich", "Z\\xfcrich"),
        ("Zürich".encode(), "Zürich"),
    ],
)
def test_each_kind_of_element_is_shown_as_json_knows_it(value: Any, shown: Any) -> None:
    """Otherwise a report could not be written, or would show infinity as NaN."""
    found = scalar(value)
    assert (type(found), found) == (type(shown), shown)
