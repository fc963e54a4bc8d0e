"""Distances in steps of the float type are those that the type itself counts."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.parity.error_sizes import SHARES
from pipeline.parity.figures import UlpFigures
from pipeline.parity.ulps import UlpTally

FLOATS = [np.float16, np.float32, np.float64, ml_dtypes.bfloat16]


def counted(want: Any, got: Any, dtype: Any = np.float32) -> UlpFigures:
    one, other = np.array([want], dtype), np.array([got], dtype)
    tally = UlpTally(one.dtype)
    tally.add(one, other, ~(np.isfinite(one) & np.isfinite(other)))
    found = tally.figures()
    assert found is not None
    return found


def after(values: NDArray[Any], steps: int) -> NDArray[Any]:
    for _ in range(steps):
        values = np.nextafter(values, np.array(np.inf, values.dtype))
    return values


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("start", [1.0, 0.0, -1.0, -0.0, 1e-7, -3.5])
def test_neighbours_are_as_many_steps_apart_as_nextafter_takes(dtype: Any, start: float) -> None:
    """Otherwise a rounding of the last place would look like more, or less."""
    value = np.array([start], dtype)
    one, other = value, after(value, 5)
    found = counted(one, other, dtype)
    assert (found.largest, found.sign_crossings, found.dtype) == (5, 0, np.dtype(dtype).name)
    assert [(one.share, one.error) for one in found.quantiles] == [(share, 5.0) for share in SHARES]
    assert found.octaves == (0, 0, 1)


@pytest.mark.parametrize("dtype", FLOATS)
def test_minus_zero_is_zero(dtype: Any) -> None:
    """Otherwise a sign that no sum can see would be the largest difference there is."""
    found = counted([-0.0, 0.0], [0.0, -0.0], dtype)
    assert (found.largest, found.same_bits, found.octaves) == (0, 2, ())


def test_values_on_two_sides_of_zero_are_counted_apart() -> None:
    """Otherwise one of them would be a maximum of two billion."""
    found = counted([1e-9, -2.0, 1.0], [-1e-9, 2.0, 1.0])
    assert (found.sign_crossings, found.largest, found.same_bits) == (2, 0, 1)


def test_one_value_that_was_compared_is_enough_for_figures() -> None:
    """Otherwise a last block of NaN, or as many values across zero as on one side, would leave a row without them."""
    assert counted([1e-9, 1.0], [-1e-9, 1.0]).same_bits == 1
    tally = UlpTally(np.dtype(np.float32))
    for value in (1.0, np.nan):
        block = np.array([[value]], np.float32)
        tally.add(block, block, ~np.isfinite(block))
    found = tally.figures()
    assert found is not None
    assert found.same_bits == 1


def test_the_smallest_value_is_one_step_from_zero_whatever_its_sign() -> None:
    """Otherwise the way to zero would depend on the side."""
    tiny = float(np.finfo(np.float32).smallest_subnormal)
    assert counted([0.0, -0.0, tiny], [-tiny, tiny, 0.0]).octaves == (3,)
    assert counted([tiny, -tiny], [-tiny, tiny]).sign_crossings == 2


def test_what_is_not_finite_has_no_distance() -> None:
    """Otherwise infinity would be one step after the largest number."""
    found = counted([np.inf, 1.0, np.nan], [np.finfo(np.float32).max, 1.0, -1.0])
    assert (found.largest, found.same_bits, found.sign_crossings) == (0, 1, 0)


def test_the_whole_range_of_float64_is_counted() -> None:
    """Otherwise the largest distances would overflow."""
    found = counted([0.0], [np.finfo(np.float64).max], np.float64)
    assert found.largest == 0x7FEF_FFFF_FFFF_FFFF


def test_a_type_without_steps_has_no_figures() -> None:
    """Otherwise padding bits would be counted."""
    tally = UlpTally(np.dtype(np.longdouble))
    tally.add(np.ones(2, np.longdouble), np.ones(2, np.longdouble), None)
    assert tally.figures() is None
