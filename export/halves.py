"""What a half float can hold of a weight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_TOO_LARGE = 65_520.0
"""What rounds to infinity, by IEEE 754: the largest half is 65,504, and the next would be 32 more."""
_TOO_SMALL = 2.0**-25
"""What rounds to zero: half of the smallest half."""


def fits_half(weight: NDArray[Any]) -> bool:
    """Whether the largest finite magnitude of the weight is neither infinite nor zero as a half.

    The -1e9 of a mask and an epsilon of 1e-12 are not: a mask of 0 times infinity is NaN.
    """
    finite = np.isfinite(weight)
    # Not of the magnitudes: they would be a second copy of a weight of hundreds of megabytes.
    largest = float(max(np.max(weight, initial=0.0, where=finite), -np.min(weight, initial=0.0, where=finite)))
    return largest == 0.0 or _TOO_SMALL < largest < _TOO_LARGE
