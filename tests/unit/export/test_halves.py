"""Which weights become halves."""

from __future__ import annotations

import numpy as np
import pytest

from export.halves import all_halves, fits_half


@pytest.mark.parametrize(
    ("weight", "fits"),
    [
        ([], True),
        ([0.0, 0.0], True),
        ([65_504.0, 1e-30], True),
        ([65_519.0], True),
        ([1.0, -65_520.0], False),
        ([-1e9], False),
        ([1e-12, 0.0], False),
        ([2.0**-15], False),
        ([2.0**-14], True),
        ([-np.inf, 3.0], True),
        ([np.nan], True),
    ],
)
def test_a_weight_fits_while_its_largest_value_is_a_half(weight: list[float], *, fits: bool) -> None:
    """A mask's -1e9 became infinite in TF.js, and every answer NaN; an epsilon became zero."""
    assert fits_half(np.array(weight, np.float32)) is fits
    with np.errstate(over="ignore"):
        halves = np.array(weight, np.float32).astype(np.float16)
    finite = np.isfinite(np.array(weight, np.float32))
    if fits:
        assert np.isfinite(halves[finite]).all()


@pytest.mark.parametrize(("values", "halves"), [([1.0, 0.5, np.nan], True), ([1.0, 0.1], False), ([1e30], False)])
def test_halves_in_float32_are_known_again(values: list[float], *, halves: bool) -> None:
    """A file of halves holds some as float32; taken for exact, they all differed from the trained model's weights."""
    assert all_halves(np.array(values, np.float32)) is halves
