"""How far two answers are apart, in one number that can be held against another output's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors
from pipeline.parity.tolerances import Tolerance


def distance(want: NDArray[Any], got: NDArray[Any], *, varies: float | None = None) -> float:
    """RMS error by how much `want` varies over its samples (first axis): 0 is equal, about 1.4 is unrelated.

    `varies` is that measure where it is not to be taken from `want` itself.
    Infinite when shapes differ or the two are not finite in the same places. Of text, the share that is not equal.
    """
    if want.shape != got.shape or want.size == 0:
        return math.inf
    if want.dtype.kind in "OSU" or got.dtype.kind in "OSU":
        return float(np.mean(_as_bytes(want) != _as_bytes(got)))
    want, got = want.astype(np.float64), got.astype(np.float64)
    finite = np.isfinite(want)
    if not np.array_equal(finite, np.isfinite(got)) or not np.array_equal(want[~finite], got[~finite], equal_nan=True):
        return math.inf
    error = np.where(finite, want, 0) - np.where(finite, got, 0)
    return root_mean_square(error) / (varies or spread(want))


def _as_bytes(text: NDArray[Any]) -> NDArray[np.object_]:
    """Text as runtimes give it: bytes here, str there, and not all of it is Unicode."""
    flat = [value if isinstance(value, bytes) else str(value).encode() for value in text.ravel().tolist()]
    return np.array(flat, object).reshape(text.shape)


def distances(want: Tensors, got: Tensors) -> dict[str, float]:
    """By output of `want`; infinite for one that is not among `got`."""
    return {name: distance(array, got[name]) if name in got else math.inf for name, array in want.items()}


def worst_distance(want: Tensors, got: Tensors) -> float:
    return max(distances(want, got).values(), default=math.inf)


def spread(values: NDArray[Any]) -> float:
    """RMS deviation from the mean over samples; of values that do not vary their RMS, and 1 when that is 0, too."""
    values = np.where(np.isfinite(values), values, 0).astype(np.float64)
    deviation = root_mean_square(values - values.mean(axis=0, keepdims=True))
    return deviation or root_mean_square(values) or 1.0


def allowed_distance(want: NDArray[Any], tolerance: Tolerance) -> float:
    """The distance at which the tolerance would just pass errors that are spread evenly."""
    if want.dtype.kind not in "fV":
        return 0.0
    size = root_mean_square(np.where(np.isfinite(want), want, 0).astype(np.float64))
    by_bounds = tolerance.atol + tolerance.rtol * size
    by_noise = math.inf if tolerance.sqnr_db is None else size * 10 ** (-tolerance.sqnr_db / 20)
    return min(by_bounds, by_noise) / spread(want)


def root_mean_square(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
