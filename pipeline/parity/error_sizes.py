"""How large the absolute errors are: counted in fine bins, so that any number of them fits in 1 MB."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.parity.figures import ErrorQuantile, Histogram

# A float64's exponent and first six bits of fraction name its bin: 64 bins an octave, so an edge is at most 1/64 away.
_SHIFT = 52 - 6
_BINS = 2048 << 6
_INFINITE = 2047 << 6
# The biased exponent of 1.0.
_FIRST_OCTAVE = 1023
_PER_DECADE = 4
SHARES = (0.5, 0.9, 0.99, 0.999)


class ErrorSizes:
    """Counts of absolute errors. The result does not depend on the order in which they come."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self._zeros = 0

    def add(self, errors: NDArray[np.float64], *, not_compared: int) -> None:
        """Count `errors` (0 or more, any shape), of which `not_compared` are zeros that stand for no error at all."""
        nonzero = errors[errors > 0]
        self._zeros += errors.size - nonzero.size - not_compared
        found = np.bincount(nonzero.view(np.int64) >> _SHIFT)
        self._counts[: found.size] += found

    @property
    def zeros(self) -> int:
        """How many of the errors were none."""
        return self._zeros

    def octaves(self) -> tuple[int, ...]:
        """How many errors lie from 2^i up to 2^(i+1), from i = 0 to the last that is not empty."""
        counts = self._counts.reshape(2048, -1).sum(axis=1)[_FIRST_OCTAVE:]
        return tuple(int(count) for count in counts[: np.flatnonzero(counts)[-1] + 1]) if counts.any() else ()

    def quantiles(self, largest: float) -> tuple[ErrorQuantile, ...]:
        """The errors that the shares 50, 90, 99 and 99.9 % do not exceed; none when nothing was counted."""
        below = self._zeros + np.cumsum(self._counts)
        total = int(below[-1])
        if total == 0:
            return ()
        quantiles = []
        for share in SHARES:
            needed = math.ceil(share * total)
            above = min(_edge(int(np.searchsorted(below, needed)) + 1), largest)
            quantiles.append(ErrorQuantile(share=share, error=0.0 if needed <= self._zeros else above))
        return tuple(quantiles)

    def histogram(self) -> Histogram:
        """Four bins a decade, each fine bin counted where its lower edge lies."""
        filled = np.flatnonzero(self._counts)
        if filled.size == 0:
            return Histogram(first_exponent=0.0, per_decade=_PER_DECADE, counts=(), zeros=self._zeros)
        # The first fine bin starts at 0, whose logarithm is none; its errors are the smallest that there can be.
        edges = np.maximum((filled << _SHIFT).view(np.float64), np.finfo(np.float64).smallest_subnormal)
        coarse = np.floor(np.log10(np.minimum(edges, np.finfo(np.float64).max)) * _PER_DECADE).astype(np.int64)
        counts = np.bincount(coarse - coarse[0], weights=self._counts[filled].astype(np.float64))
        return Histogram(
            first_exponent=float(coarse[0]) / _PER_DECADE,
            per_decade=_PER_DECADE,
            counts=tuple(int(count) for count in counts),
            zeros=self._zeros,
        )


def _edge(index: int) -> float:
    # Past the bin of infinity lie the NaNs, which are no edge.
    return float(np.array(min(index, _INFINITE) << _SHIFT, dtype=np.int64).view(np.float64))
