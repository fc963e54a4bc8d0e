"""What a half float can hold of a weight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_TOO_LARGE = 65_520.0
"""What rounds to infinity, by IEEE 754: the largest half is 65,504, and the next would be 32 more."""
_SMALLEST_NORMAL = 2.0**-14
"""Below, halves have fewer than eleven significant bits, and below 2^-25 none."""


def fits_half(weight: NDArray[Any]) -> bool:
    """Whether the largest finite magnitude of the weight has a half's eleven significant bits as one.

    The -1e9 of a mask and an epsilon of 1e-12 have not: they become infinite and zero, and a mask of 0 times infinity
    is NaN. Weights that a factor of 1e-5 was folded into would be off by a hundredth.
    """
    finite = np.isfinite(weight)
    # Not of the magnitudes: they would be a second copy of a weight of hundreds of megabytes.
    largest = float(max(np.max(weight, initial=0.0, where=finite), -np.min(weight, initial=0.0, where=finite)))
    return largest == 0.0 or _SMALLEST_NORMAL <= largest < _TOO_LARGE


def all_halves(values: NDArray[Any]) -> bool:
    """Whether a half float holds each of the values exactly."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.array_equal(values.astype(np.float16).astype(values.dtype), values, equal_nan=True))
