"""Values as integers and back: within half a step, at the ends, and never what no integer stands for."""

from __future__ import annotations

import numpy as np
import pytest

from edge.quantization import Quantization, Unquantizable, quantized

PROBABILITY = Quantization(np.dtype(np.int8), 1 / 256, -128)


def test_a_value_comes_back_within_half_a_step() -> None:
    """A rounding that goes down would shift every answer by half a step, which no tolerance would notice."""
    values = np.random.default_rng(0).uniform(0, 255 / 256, 10_000).astype(np.float32)
    back = PROBABILITY.values(PROBABILITY.integers(values))
    assert back.dtype == np.float32
    assert np.abs(back - values).max() <= 0.5 / 256 + 1e-7


def test_every_integer_survives_the_way_there_and_back() -> None:
    """Else an answer would change by being looked at."""
    for quantization in (PROBABILITY, Quantization(np.dtype(np.int8), 0.0123, 17)):
        integers = np.arange(-128, 128, dtype=np.int8)
        np.testing.assert_array_equal(quantization.integers(quantization.values(integers)), integers)


def test_values_out_of_range_go_to_the_ends() -> None:
    """Wrapped around, a value just above the calibrated range would become the lowest of all."""
    values = np.array([-9, 9, -np.inf, np.inf, 1.0], np.float32)
    assert PROBABILITY.integers(values).tolist() == [-128, 127, -128, 127, 127]


def test_nan_is_refused() -> None:
    """Cast to an integer it becomes a number that nobody gave."""
    with pytest.raises(Unquantizable, match="NaN"):
        PROBABILITY.integers(np.array([0.5, np.nan], np.float32))


def test_integers_for_their_own_sake_are_left_alone() -> None:
    """An index of a word is no quantized value, and a float tensor has no scale."""
    details = {
        "word": {"dtype": np.int32, "quantization": (0.0, 0)},
        "flags": {"dtype": np.int8, "quantization": (0.0, 0)},
        "weight": {"dtype": np.float32, "quantization": (0.0, 0)},
        "image": {"dtype": np.int8, "quantization": (1 / 256, -128)},
    }
    assert quantized(details) == {"image": PROBABILITY}
