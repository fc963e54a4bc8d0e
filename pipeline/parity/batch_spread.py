"""How far a target's answers at different batch sizes are from each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors
from pipeline.parity.comparison import BatchSpread

_BLOCK_ELEMENTS = 1 << 17


def batch_spread(output: str, by_batch_size: Mapping[int, Tensors]) -> BatchSpread:
    """The largest difference of one output between any two of the batch sizes, of which there is at least one."""
    answers = [outputs[output] for outputs in by_batch_size.values() if output in outputs]
    if len(answers) < len(by_batch_size) or not _are_numbers_of_one_shape(answers):
        return BatchSpread(output=output, spread=None)
    if answers[0].size == 0:
        return BatchSpread(output=output, spread=0.0)
    rows = max(1, _BLOCK_ELEMENTS * len(answers[0]) // answers[0].size)
    blocks = ([answer[at : at + rows] for answer in answers] for at in range(0, len(answers[0]), rows))
    return BatchSpread(output=output, spread=max(map(_spread, blocks)))


def _are_numbers_of_one_shape(answers: Sequence[NDArray[Any]]) -> bool:
    return all(
        answer.ndim > 0 and answer.shape == answers[0].shape and answer.dtype.kind in "fiub" for answer in answers
    )


def _spread(answers: Sequence[NDArray[Any]]) -> float:
    """The largest difference between the arrays, which have one shape and are not empty."""
    stacked = np.stack([answer.astype(np.float64) for answer in answers])
    nan = np.isnan(stacked)
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = np.fmin.reduce(stacked), np.fmax.reduce(stacked)
        # Equal infinities differ by 0, not by NaN.
        spread = np.where((low == high) | nan.all(axis=0), 0.0, high - low)
    return float(np.where(nan.any(axis=0) & ~nan.all(axis=0), np.inf, spread).max())
