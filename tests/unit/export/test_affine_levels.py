"""Levels are those of the TF.js converter, and zero is one of them wherever the values lie on both sides of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.affine_levels import affine_levels, levels_of

FINITE = st.floats(-(2.0**100), 2.0**100, width=32)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@given(values=st.lists(FINITE, min_size=2, max_size=20))
def test_every_value_is_within_a_step_and_zero_stays_zero(kind: type[np.unsignedinteger], values: list[float]) -> None:
    """Otherwise padding with zeros, or a sparse weight, would turn into a pattern of its own."""
    steps = int(np.iinfo(kind).max)
    weight = np.array([*values, 0.0], np.float32)
    lowest, step = affine_levels(float(weight.min()), float(weight.max()), steps)
    levels = levels_of(weight, lowest, step, steps)
    stored = levels.astype(kind)
    np.testing.assert_array_equal(stored, levels)
    again = stored * step + lowest
    assert again[-1] == 0.0
    assert np.abs(again - weight).max() <= step * (1 + 1e-9)


def test_equal_values_are_kept_exactly() -> None:
    """Otherwise a constant bias would move."""
    lowest, step = affine_levels(0.3, 0.3, 255)
    assert levels_of(np.array([0.3, 0.3]), lowest, step, 255).tolist() == [0.0, 0.0]
    assert lowest == 0.3


def test_values_on_one_side_of_zero_use_the_whole_range() -> None:
    """Otherwise a weight far from zero would lose most of its levels."""
    lowest, step = affine_levels(10.0, 12.55, 255)
    assert lowest == 10.0
    assert step == pytest.approx(0.01)
