"""What is wrong reads as a sentence that names everything."""

from __future__ import annotations

import pytest

from pipeline.parity.findings import OutputsExtra, OutputsMissing, SampleCountDiffers, plain
from pipeline.parity.status import Found
from pipeline.parity.values import Scalar


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.5, "1.5"),
        (1 / 3, "0.333333333"),
        ("NaN", "nan"),
        ("Infinity", "inf"),
        ("-Infinity", "-inf"),
        (2**60, str(2**60)),
        (True, "True"),
        ("cat", "'cat'"),
    ],
)
def test_a_value_is_written_as_what_it_is(value: Scalar, said: str) -> None:
    """Otherwise text and numbers, or a NaN and the word, would look alike."""
    assert plain(value) == said


def test_one_output_and_several_are_told_apart_and_none_is_said() -> None:
    """Otherwise a list would end in nothing."""
    assert OutputsMissing(names=("a",), answered=()).sentence == "missing output a; answered were none"
    assert OutputsExtra(names=("a", "b"), expected=("c", "d")).sentence == (
        "answered with outputs a, b beyond the signature, which has c, d"
    )


def test_batch_sizes_are_listed() -> None:
    """Otherwise nobody would know where to look."""
    finding = SampleCountDiffers(output="y", want=8, got=7)
    assert Found(finding=finding, batch_sizes=(1, 4), lesser_at=(7, 16)).sentence == (
        "y: 7 samples answered, expected 8 [batch sizes 1, 4; less so at 7, 16]"
    )
