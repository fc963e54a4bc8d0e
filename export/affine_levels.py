"""How TF.js stores a weight in whole numbers: in levels evenly over its range, moved so that zero is one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def affine_levels(least: float, most: float, steps: int) -> tuple[float, float]:
    """The lowest of `steps` + 1 levels for values from `least` to `most`, and the distance of two levels.

    By the rule of tensorflowjs (`quantization.py`), which is repeated here since importing it takes TensorFlow and
    seconds; a test holds the two together. Values that are all equal are one level, with a distance of 1.
    """
    if least == most:
        return least, 1.0
    step = (most - least) / steps
    return (-float(np.round(-least / step)) * step if least <= 0 <= most else least), step


def levels_of(values: NDArray[Any], lowest: float, step: float, steps: int) -> NDArray[np.float64]:
    """The number of the level nearest to each value, 0 to `steps`, whole numbers as float64."""
    return np.asarray(np.clip(np.round((values - np.float64(lowest)) / step), 0, steps))
