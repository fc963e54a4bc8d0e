"""Arrays as TensorFlow's tensor messages and back, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.protos import enum_numbers, message

# NumPy's names, and the field that holds values which did not come as bytes.
_KINDS = {
    "float16": ("DT_HALF", "half_val"),
    "float32": ("DT_FLOAT", "float_val"),
    "float64": ("DT_DOUBLE", "double_val"),
    "int8": ("DT_INT8", "int_val"),
    "int16": ("DT_INT16", "int_val"),
    "int32": ("DT_INT32", "int_val"),
    "int64": ("DT_INT64", "int64_val"),
    "uint8": ("DT_UINT8", "int_val"),
    "uint16": ("DT_UINT16", "int_val"),
    "uint32": ("DT_UINT32", "uint32_val"),
    "uint64": ("DT_UINT64", "uint64_val"),
    "bool": ("DT_BOOL", "bool_val"),
    "string": ("DT_STRING", "string_val"),
}
DTYPE_OF_KIND = {kind: name for name, (kind, _) in _KINDS.items()}
"""NumPy's name for each of TensorFlow's."""


def to_proto(array: NDArray[Any], dtype: str) -> Any:
    """A `TensorProto` that holds the array as `dtype` (a signature's name); raises ValueError for another dtype."""
    if dtype not in _KINDS:
        raise ValueError(f"tensors of {dtype} are not sent; known are {', '.join(_KINDS)}")
    proto = message("tensorflow.TensorProto")(dtype=enum_numbers("tensorflow.DataType")[_KINDS[dtype][0]])
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if dtype == "string":
        proto.string_val.extend(as_bytes(value) for value in array.ravel())
    else:
        proto.tensor_content = np.ascontiguousarray(array, dtype=np.dtype(dtype).newbyteorder("<")).tobytes()
    return proto


def from_proto(proto: Any) -> NDArray[Any]:
    """The array in the message; strings as an object array of bytes. Raises ValueError for an unknown dtype."""
    numbers = enum_numbers("tensorflow.DataType")
    dtype, values_field = next(
        ((name, field) for name, (kind, field) in _KINDS.items() if numbers[kind] == proto.dtype), ("", "")
    )
    if not dtype:
        kind = next((name for name, number in numbers.items() if number == proto.dtype), str(proto.dtype))
        raise ValueError(f"tensors of {kind} are not read")
    shape = tuple(int(dim.size) for dim in proto.tensor_shape.dim)
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype=np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)
    values = getattr(proto, values_field)
    match dtype:
        case "string":
            array: NDArray[Any] = np.empty(len(values), dtype=object)
            array[:] = list(values)
        case "float16":
            # Half floats travel as their bits in an integer field.
            array = np.asarray(values, dtype=np.uint16).view(np.float16)
        case _:
            array = np.asarray(values, dtype=dtype)
    count = math.prod(shape)
    if 0 < len(array) < count:
        # The message may leave out the end of a tensor when the last value given repeats to it.
        array = np.concatenate([array, np.repeat(array[-1:], count - len(array))])
    return array.reshape(shape)


def as_bytes(value: Any) -> bytes:
    """A string tensor's element as the bytes that TensorFlow holds."""
    return value if isinstance(value, bytes) else str(value).encode()
