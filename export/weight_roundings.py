"""How each precision rounds a weight: functions of the operation that reads it, its values, and random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.affine_levels import affine_levels, levels_of
from export.halves import fits_half
from export.op_bounds import channel_axes

Weight = NDArray[np.float64]
Rounded = Callable[[Any, Weight, np.random.Generator], Weight]

_INT8_LEVELS = 127


def to_float16(_: Any, weight: Weight, __: np.random.Generator) -> Weight:
    with np.errstate(over="ignore"):
        return weight.astype(np.float16).astype(np.float64)


def to_float16_scaled(_: Any, weight: Weight, rng: np.random.Generator) -> Weight:
    """As `to_float16` after each output channel was scaled, as a converter scales by the normalization that follows.

    The same spacing, other roundings: one draw of them says too little of an output with few values.
    """
    scale = rng.uniform(1.0, 2.0, weight.shape[-1:])
    return to_float16(_, weight * scale, rng) / scale


def where_it_fits(narrowed: Rounded) -> Rounded:
    """As TF.js's weights are written: those that halves cannot hold are left alone."""

    def rounded(node: Any, weight: Weight, rng: np.random.Generator) -> Weight:
        return narrowed(node, weight, rng) if fits_half(weight) else weight

    return rounded


def to_levels(steps: int) -> Rounded:
    """As TF.js stores: evenly over the range of the whole weight, with `steps` + 1 levels."""

    def rounded(_: Any, weight: Weight, __: np.random.Generator) -> Weight:
        lowest, step = affine_levels(float(weight.min()), float(weight.max()), steps)
        return levels_of(weight, lowest, step, steps) * step + lowest

    return rounded


def to_int8(node: Any, weight: Weight, __: np.random.Generator) -> Weight:
    """As TFLite rounds: evenly and symmetrically, each channel by its largest value."""
    axes = tuple(axis for axis in range(weight.ndim) if axis not in channel_axes(node.op, weight))
    step = np.abs(weight).max(axis=axes, keepdims=True) / _INT8_LEVELS
    step = np.where(step > 0, step, 1.0)
    return np.asarray(np.round(weight / step) * step)
