"""Writes the JSON answer of Predict, in rows or in columns."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING

import numpy as np

from serving.embedded.dtypes import BOOL, DOUBLE, FLOAT, STRING, UINT16, ElementType, element_type_of
from serving.embedded.json_write import base64_object, decimal_texts, encoded, indent, members, nested, quoted
from serving.embedded.status import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_predictions(outputs: Mapping[str, np.ndarray], *, row_format: bool) -> bytes:
    """The body of a 200 answer. Raises ServingError for outputs that the format cannot hold."""
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    return encoded(_rows(outputs) if row_format else _columns(outputs))


def _columns(outputs: Mapping[str, np.ndarray]) -> str:
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        text = nested(_leaves(name, array, 1 + array.ndim), array.shape, level=1, one_line=False)
    else:
        text = members(
            (
                (name, nested(_leaves(name, array, 2 + array.ndim), array.shape, level=2, one_line=False))
                for name, array in outputs.items()
            ),
            level=1,
        )
    return f'{{\n    "outputs": {text}\n}}'


def _rows(outputs: Mapping[str, np.ndarray]) -> str:
    size = -1
    for name, array in outputs.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if size not in (-1, array.shape[0]):
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} expecting: {size}")
        size = array.shape[0]
    if not size:
        return '{\n    "predictions": []\n}'
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        items = ", ".join(_items(name, array, level=2))
        return f'{{\n    "predictions": [{items}\n    ]\n}}'
    columns = [(name, _items(name, array, level=3)) for name, array in outputs.items()]
    line = "\n" + indent(2)
    rows = f",{line}".join(members(((name, items[row]) for name, items in columns), level=2) for row in range(size))
    return f'{{\n    "predictions": [{line}{rows}\n    ]\n}}'


def _items(name: str, array: np.ndarray, *, level: int) -> list[str]:
    """One text for each row."""
    leaves = _leaves(name, array, level + array.ndim - 1)
    if array.ndim == 1:
        return leaves
    width = math.prod(array.shape[1:])
    return [
        nested(leaves[row * width : (row + 1) * width], array.shape[1:], level=level, one_line=True)
        for row in range(array.shape[0])
    ]


def _leaves(name: str, array: np.ndarray, level: int) -> list[str]:
    kind = element_type_of(array)
    flat = array.reshape(-1)
    match kind.number:
        case n if n in {FLOAT, DOUBLE}:
            return decimal_texts(flat)
        case n if n == STRING:
            return _string_leaves(flat, level, as_bytes=name.endswith("_bytes"))
        case n if n == BOOL:
            return ["true" if value else "false" for value in flat.tolist()]
        case _ if _is_written_integer(kind):
            return [str(value) for value in flat.tolist()]
        case _:
            raise invalid(f"Failed to write JSON value for tensor type: {kind.name}")


def _is_written_integer(kind: ElementType) -> bool:
    return kind.numpy.kind in "iu" and kind.number != UINT16


def _string_leaves(flat: np.ndarray, level: int, *, as_bytes: bool) -> list[str]:
    values = [value if isinstance(value, bytes) else str(value).encode() for value in flat.tolist()]
    if as_bytes:
        return [base64_object(base64.b64encode(value).decode(), level=level) for value in values]
    return [quoted(value.decode("utf-8", "surrogateescape")) for value in values]
