"""How much the reference's own answers vary over the samples: what a comparison can tell depends on it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.parity.findings import bound
from pipeline.parity.tolerances import Tolerance

CLEARLY = 2.0
"""A quantity is clearly above another when it is at least twice as large (6 dB)."""


class VariationTally:
    """The reference's answers, fed in blocks of rows; memory grows with the size of one row only."""

    def __init__(self) -> None:
        self._rows = 0
        self._energy = 0.0

    def add(self, want: NDArray[np.float64]) -> None:
        """Take rows [samples, elements] in which what is not finite has been replaced by 0."""
        if self._rows == 0:
            self._first = want[0].copy()
            self._low, self._high, self._sum, self._squares = (np.zeros_like(self._first) for _ in range(4))
        # Distances from the first row, so that a large common offset does not eat the digits of a small variation.
        distance = want - self._first
        self._rows += len(want)
        self._energy += float(np.vdot(want, want))
        np.minimum(self._low, distance.min(axis=0), out=self._low)
        np.maximum(self._high, distance.max(axis=0), out=self._high)
        self._sum += distance.sum(axis=0)
        self._squares += np.einsum("ij,ij->j", distance, distance)

    @property
    def variation(self) -> float:
        """The RMS, over elements, of the standard deviation over the samples."""
        return math.sqrt(self._variance_sum() / self._first.size)

    def vacuous(self, tolerance: Tolerance, *, rmse: float) -> str | None:
        """Why agreement would mean nothing, or None.

        It means nothing when one and the same answer to every sample would also be within tolerance, or nearly: then
        a target that ignores its input agrees, too. And when differences are as large as the variation.
        """
        if tolerance.constant:
            return None
        if self._rows == 1:
            return "there is only one sample, so nothing shows that the answer depends on the input"
        if not (self._values_tell(tolerance) or self._noise_tells(tolerance)):
            return (
                f"the reference's answers hardly vary over the samples (standard deviation {self.variation:.3g}), so "
                f"the same answer to every sample would be within tolerance (atol {bound(tolerance.atol)}, "
                f"rtol {bound(tolerance.rtol)}), or nearly"
            )
        if rmse > 0 and self.variation < CLEARLY * rmse:
            return (
                f"the differences (RMSE {rmse:.3g}) are as large as the variation of the reference's answers over the "
                f"samples (standard deviation {self.variation:.3g})"
            )
        return None

    def _values_tell(self, tolerance: Tolerance) -> bool:
        """Whether the best constant answer is clearly beyond atol and rtol somewhere."""
        with np.errstate(over="ignore"):
            half_range = (self._high - self._low) / 2
            largest = np.maximum(np.abs(self._first + self._low), np.abs(self._first + self._high))
            allowed = tolerance.atol + tolerance.rtol * largest
            return bool(np.any((half_range > 0) & (half_range >= CLEARLY * allowed)))

    def _noise_tells(self, tolerance: Tolerance) -> bool:
        """Whether the best constant answer is clearly below the SQNR floor."""
        noise = self._variance_sum() * self._rows
        if tolerance.sqnr_db is None or noise == 0:
            return False
        ratio = self._energy / noise
        return ratio == 0 or 10 * math.log10(ratio) <= tolerance.sqnr_db - 20 * math.log10(CLEARLY)

    def _variance_sum(self) -> float:
        """NaN when the squares are beyond float64: then nothing is said to be vacuous."""
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            mean = self._sum / self._rows
            return float(np.maximum(self._squares / self._rows - mean * mean, 0).sum())
