"""How many steps of the output's own float type lie between the two answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.parity.error_sizes import ErrorSizes
from pipeline.parity.figures import ErrorQuantile, UlpFigures

_BITS: dict[int, Any] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


class UlpTally:
    """Distances in representable values of one float dtype, fed in blocks.

    IEEE 754 and its relatives (bfloat16, float8) order their magnitudes as the unsigned integers of the same bits, so
    the distance of two values of one sign is the difference of those. 0 and -0 are no distance apart. What lies on
    different sides of zero is counted apart: two billion floats lie between 1e-9 and -1e-9, and that says nothing.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._sizes = ErrorSizes()
        self._largest = self._crossings = self._compared = 0

    def add(self, want: NDArray[Any], got: NDArray[Any], odd: NDArray[np.bool_] | None) -> None:
        """Take blocks of the tally's dtype; `odd` marks what is not finite on either side, of the same size."""
        bits = _BITS.get(self._dtype.itemsize)
        if bits is None:
            return
        one, other = (np.ascontiguousarray(side).reshape(-1).view(bits) for side in (want, got))
        sign = bits(1 << (8 * self._dtype.itemsize - 1))
        magnitude, other_magnitude = one & ~sign, other & ~sign
        steps = np.maximum(magnitude, other_magnitude) - np.minimum(magnitude, other_magnitude)
        crossing = ((one ^ other) & sign != 0) & (magnitude > 0) & (other_magnitude > 0)
        left_out = crossing if odd is None else crossing | odd.reshape(-1)
        finite_crossings = crossing if odd is None else crossing & ~odd.reshape(-1)
        steps[left_out] = 0
        not_compared = int(np.count_nonzero(left_out))
        self._crossings += int(np.count_nonzero(finite_crossings))
        self._compared += steps.size - not_compared
        self._largest = max(self._largest, int(steps.max()))
        self._sizes.add(steps.astype(np.float64), not_compared=not_compared)

    def figures(self) -> UlpFigures | None:
        """None when there is nothing to count in: a dtype without such steps, or no finite value."""
        if self._dtype.itemsize not in _BITS or self._compared + self._crossings == 0:
            return None
        # Steps are whole: rounding down undoes the bin's width, and below 64 the quantile is exact.
        quantiles = self._sizes.quantiles(float(self._largest))
        return UlpFigures(
            dtype=self._dtype.name,
            largest=self._largest,
            quantiles=tuple(ErrorQuantile(share=one.share, error=float(int(one.error))) for one in quantiles),
            same_bits=self._sizes.zeros,
            octaves=self._sizes.octaves(),
            sign_crossings=self._crossings,
        )
