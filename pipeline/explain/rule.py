"""When the isolated error of a piece is out of line: against what its precision explains, and against the others.

`limit = min(ceiling, max(usual, 4 x median of the other pieces))`. A piece is out of line when its relative error is
above the limit, or that of its worst channel above five times the limit, or it did not run, or gave another shape or
other non-finite values than the trained model. docs/explaining.md says how the numbers were measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.artifact import Precision
from pipeline.explain.explanation import Difference
from pipeline.explain.measure import Broke

_PEERS = 4.0
_CHANNEL = 5.0


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Up to `usual` a piece is never out of line, above `ceiling` always."""

    usual: float
    ceiling: float


EXPECTED: Mapping[Precision, Expected] = {
    Precision.FLOAT32: Expected(usual=2e-5, ceiling=1e-3),
    Precision.FLOAT16: Expected(usual=2e-3, ceiling=2e-2),
    Precision.DYNAMIC: Expected(usual=2e-2, ceiling=0.2),
    Precision.INT8: Expected(usual=2e-2, ceiling=0.25),
    Precision.INT8_IO: Expected(usual=2e-2, ceiling=0.25),
    Precision.INT16X8: Expected(usual=2e-2, ceiling=0.2),
    Precision.UINT16: Expected(usual=2e-4, ceiling=5e-3),
    Precision.UINT8: Expected(usual=2e-2, ceiling=0.2),
}


def difference(got: NDArray[Any] | Broke, want: NDArray[Any]) -> Difference:
    """How far `got` is from `want`; both with one row a sample."""
    if isinstance(got, Broke):
        return Difference(relative=None, channel=None, largest=None, problem=got.problem)
    if got.shape != want.shape:
        problem = f"its shape is {list(got.shape[1:])} a sample, the trained model's {list(want.shape[1:])}"
        return Difference(relative=None, channel=None, largest=None, problem=problem)
    given, true = got.astype(np.float64), want.astype(np.float64)
    odd = int(np.sum(np.isfinite(given) != np.isfinite(true)))
    if odd:
        problem = f"{odd} of {given.size} values are finite in one and not in the other"
        return Difference(relative=None, channel=None, largest=None, problem=problem)
    finite = np.isfinite(true)
    error = np.where(finite, given - np.where(finite, true, 0.0), 0.0)
    signal = _rms(true[finite]) if finite.any() else 0.0
    columns = error.reshape(-1, error.shape[-1]) if error.ndim > 1 else error.reshape(-1, 1)
    worst = float(np.sqrt(np.mean(columns**2, axis=0)).max()) if columns.size else 0.0
    return Difference(
        relative=_over(_rms(error), signal),
        channel=_over(worst, signal),
        largest=float(np.abs(error).max()) if error.size else 0.0,
    )


def limits(isolated: Sequence[Difference], precision: Precision) -> list[float]:
    """What the relative error of each piece may be, given all of them."""
    expected = EXPECTED[precision]
    numbers = [each.relative for each in isolated]
    bounds = []
    for position in range(len(numbers)):
        # A piece without any error, a reshape, says nothing of what the others may have.
        others = [n for n in (*numbers[:position], *numbers[position + 1 :]) if n]
        peers = _PEERS * statistics.median(others) if others else 0.0
        bounds.append(min(expected.ceiling, max(expected.usual, peers)))
    return bounds


def out_of_line(isolated: Difference, limit: float) -> bool:
    if isolated.problem is not None or isolated.relative is None or isolated.channel is None:
        return True
    return isolated.relative > limit or isolated.channel > _CHANNEL * limit


def _rms(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0


def _over(error: float, signal: float) -> float:
    if error == 0.0:
        return 0.0
    # Of a tensor that is zero throughout, any error is all there is.
    return error / signal if signal > 0.0 else 1.0
