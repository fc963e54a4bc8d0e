"""Inputs of several calls as one array: how many rows, of which shape, and how they are joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from serving.embedded.status import Code, ServingError, invalid

if TYPE_CHECKING:
    from collections.abc import Sequence


def rows_of(arrays: Sequence[np.ndarray]) -> int:
    """The number of rows that all inputs have. Raises INVALID_ARGUMENT."""
    if not arrays:
        raise invalid("Batching session Run() must have at least one input tensor")
    for array in arrays:
        if not array.ndim:
            raise invalid("Batching session Run() input tensors must have at least one dimension")
        if array.shape[0] != arrays[0].shape[0]:
            raise invalid("Batching session Run() input tensors must have equal 0th-dimension size")
    return int(arrays[0].shape[0])


def row_shapes(arrays: Sequence[np.ndarray]) -> tuple[tuple[int, ...], ...]:
    return tuple(array.shape[1:] for array in arrays)


def merged(arrays: list[np.ndarray], padding: int) -> np.ndarray:
    """One array of all rows, and `padding` copies of the last call's first row, which is known to be valid."""
    if len(arrays) == 1 and not padding:
        return arrays[0]
    if len({array.shape[1:] for array in arrays}) > 1:
        arrays = _padded_alike(arrays)
    if padding:
        arrays = [*arrays, np.repeat(arrays[-1][:1], padding, axis=0)]
    return np.concatenate(arrays)


def _padded_alike(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Every dimension but the first grown to the largest, filled with each array's own first value."""
    if len({array.ndim for array in arrays}) > 1:
        raise ServingError(Code.FAILED_PRECONDITION, "Tensors of one name from different tasks have different ranks")
    sizes = [max(array.shape[axis] for array in arrays) for axis in range(1, arrays[0].ndim)]
    grown = []
    for array in arrays:
        widths = [(0, 0), *((0, size - have) for size, have in zip(sizes, array.shape[1:], strict=True))]
        grown.append(np.pad(array, widths, constant_values=array.flat[0]) if array.size else array)
    return grown
