"""What a faulty app may send is still something that the model takes."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.diagnosis.inputs import changes, scaled

RANDOM = np.random.default_rng(0)
SAMPLES = {
    "photo": RANDOM.random((6, 5, 5, 3), dtype=np.float32),
    "wave": RANDOM.random((6, 9), dtype=np.float32),
    "echo": RANDOM.random((6, 9), dtype=np.float32),
    "words": RANDOM.integers(0, 30, (6, 4), dtype=np.int32),
}


def test_every_change_keeps_names_shapes_and_dtypes_and_changes_something() -> None:
    found = list(changes(SAMPLES))
    assert len(found) > 60
    for one in found:
        assert one.samples.keys() == SAMPLES.keys()
        assert any(not np.array_equal(one.samples[name], SAMPLES[name]) for name in SAMPLES), one.sentence
        for name, array in SAMPLES.items():
            assert (one.samples[name].shape, one.samples[name].dtype) == (array.shape, array.dtype), one.sentence


@pytest.mark.parametrize(
    "cause",
    [
        *("channels_reversed", "input_layout", "input_transposed", "input_shifted", "input_resized", "input_scale"),
        *("input_standardized", "inputs_swapped", "input_off_by_one", "input_zeroed", "input_inverted"),
    ],
)
def test_the_common_mistakes_are_among_them(cause: str) -> None:
    assert cause in {one.cause for one in changes(SAMPLES)}


def test_inputs_that_are_not_alike_are_never_swapped() -> None:
    swapped = [one.sentence for one in changes(SAMPLES) if one.cause == "inputs_swapped"]
    assert swapped == ["inputs `wave` and `echo` are swapped"]


def test_a_whole_factor_is_told_as_such() -> None:
    assert "is 16 times" in scaled(SAMPLES, "wave", 16.0003).sentence
    assert "is 0.333 times" in scaled(SAMPLES, "wave", 0.333).sentence
