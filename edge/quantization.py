"""Values as the integers of a TFLite file, and back: `value = scale * (integer - zero point)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_INTEGERS = (np.int8, np.uint8, np.int16)


class Unquantizable(ValueError):
    """A value that no integer stands for."""


@dataclass(frozen=True)
class Quantization:
    """One tensor's scale and zero point, as its file has them."""

    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    @property
    def shown(self) -> str:
        return f"{self.dtype}, scale {self.scale:g}, zero point {self.zero_point}"

    def integers(self, values: NDArray[Any]) -> NDArray[Any]:
        """The nearest integers, those out of range at its ends as TFLite's own QUANTIZE does it. Raises Unquantizable.

        Source: the TFLite 8-bit quantization specification.
        """
        if np.isnan(values).any():
            raise Unquantizable("holds NaN, for which there is no integer")
        limits = np.iinfo(self.dtype)
        # float64, so that the division does not move a value that lies just below the middle between two integers.
        nearest = np.rint(values.astype(np.float64) / self.scale) + self.zero_point
        integers: NDArray[Any] = np.clip(nearest, limits.min, limits.max).astype(self.dtype)
        return integers

    def values(self, integers: NDArray[Any]) -> NDArray[np.float32]:
        return ((integers.astype(np.float64) - self.zero_point) * self.scale).astype(np.float32)


def quantized(tensors: Mapping[str, Mapping[str, Any]]) -> dict[str, Quantization]:
    """The integers with a scale among an interpreter's details, by name; others are integers for their own sake."""
    return {
        name: Quantization(np.dtype(details["dtype"]), float(scale), int(zero_point))
        for name, details in tensors.items()
        for scale, zero_point in (details["quantization"],)
        if np.dtype(details["dtype"]) in _INTEGERS and scale != 0
    }
