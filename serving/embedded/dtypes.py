"""TensorFlow's element types: their number on the wire, their name in messages, their NumPy type and proto field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class ElementType:
    """One `tensorflow.DataType` that a tensor can have on the wire."""

    number: int
    name: str
    numpy: np.dtype[np.generic]
    field: str
    """The repeated field of TensorProto that holds the values when they are not in `tensor_content`."""

    @property
    def is_string(self) -> bool:
        return self.number == STRING


def _type(number: int, name: str, numpy: object, field: str) -> ElementType:
    return ElementType(number=number, name=name, numpy=np.dtype(numpy), field=field)  # type: ignore[call-overload]  # ml_dtypes' scalars are not known to NumPy's stubs


FLOAT, DOUBLE, INT32, UINT8, INT16, INT8, STRING = 1, 2, 3, 4, 5, 6, 7
COMPLEX64, INT64, BOOL, BFLOAT16, UINT16, COMPLEX128, HALF = 8, 9, 10, 14, 17, 18, 19
UINT32, UINT64 = 22, 23

ELEMENT_TYPES: Mapping[int, ElementType] = {
    kind.number: kind
    for kind in (
        _type(FLOAT, "float", np.float32, "float_val"),
        _type(DOUBLE, "double", np.float64, "double_val"),
        _type(INT32, "int32", np.int32, "int_val"),
        _type(UINT8, "uint8", np.uint8, "int_val"),
        _type(INT16, "int16", np.int16, "int_val"),
        _type(INT8, "int8", np.int8, "int_val"),
        _type(STRING, "string", np.object_, "string_val"),
        _type(COMPLEX64, "complex64", np.complex64, "scomplex_val"),
        _type(INT64, "int64", np.int64, "int64_val"),
        _type(BOOL, "bool", np.bool_, "bool_val"),
        _type(BFLOAT16, "bfloat16", ml_dtypes.bfloat16, "half_val"),
        _type(UINT16, "uint16", np.uint16, "int_val"),
        _type(COMPLEX128, "complex128", np.complex128, "dcomplex_val"),
        _type(HALF, "half", np.float16, "half_val"),
        _type(UINT32, "uint32", np.uint32, "uint32_val"),
        _type(UINT64, "uint64", np.uint64, "uint64_val"),
    )
}

_OTHER_NAMES = {11: "qint8", 12: "quint8", 13: "qint32", 15: "qint16", 16: "quint16", 20: "resource", 21: "variant"}
_BY_NUMPY = {kind.numpy: kind for kind in ELEMENT_TYPES.values()}


def type_name(number: int) -> str:
    """As TensorFlow writes it in messages: `float`, `half`, `int64`."""
    kind = ELEMENT_TYPES.get(number)
    return kind.name if kind else _OTHER_NAMES.get(number, "unknown")


def element_type_of(array: np.ndarray) -> ElementType:
    """The element type of what a run gave; byte strings come as objects or as NumPy's fixed-width bytes."""
    return _BY_NUMPY[array.dtype] if array.dtype.kind != "S" else ELEMENT_TYPES[STRING]
