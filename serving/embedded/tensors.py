"""TensorProto to NumPy and back, with TensorFlow's own rules for protos that hold too few or too many values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from serving.embedded.dtypes import (
    BFLOAT16,
    COMPLEX64,
    COMPLEX128,
    DOUBLE,
    ELEMENT_TYPES,
    FLOAT,
    HALF,
    STRING,
    ElementType,
    element_type_of,
)

MAX_RANK = 64
"""NumPy's limit; TensorFlow's own is 254, and a tensor between the two has never been met."""
MAX_FILLED_BYTES = 1 << 28
"""A proto of a few bytes may ask for any size by repeating its last value; past this it is refused."""

_FIELD_TAG = {FLOAT: b"\x2a", DOUBLE: b"\x32"}
"""Tags of the packed `float_val` and `double_val`: their payload is the array's own little-endian bytes."""


class MalformedTensor(ValueError):
    """The proto cannot be a tensor: unknown type, impossible shape, or content of the wrong size."""


def array_from_proto(proto: Any) -> np.ndarray:
    """The tensor as an array; may share memory with the proto's bytes and is then read-only.

    Fewer values than elements: the last is repeated, none at all means zeros; more: the rest is left out, all as
    TensorFlow does. Raises MalformedTensor.
    """
    kind = ELEMENT_TYPES.get(proto.dtype)
    if kind is None:
        raise MalformedTensor(f"element type {proto.dtype}")
    shape = _shape_of(proto.tensor_shape)
    count = math.prod(shape)
    if count == 0:
        return np.empty(shape, kind.numpy)
    content = proto.tensor_content
    if content:
        if kind.is_string:
            return _strings_from_content(content, count).reshape(shape)
        if len(content) != count * kind.numpy.itemsize:
            raise MalformedTensor(f"{len(content)} bytes of content for {count} elements")
        return np.frombuffer(content, kind.numpy).reshape(shape)
    return _from_field(proto, kind, count).reshape(shape)


def proto_into(proto: Any, array: np.ndarray) -> None:
    """Fill an empty TensorProto with the array, values in the typed field, as TensorFlow Serving answers."""
    kind = element_type_of(array)
    proto.dtype = kind.number
    shape = proto.tensor_shape
    shape.SetInParent()
    for size in array.shape:
        shape.dim.add().size = size
    if not array.size:
        return
    tag = _FIELD_TAG.get(kind.number)
    if tag is not None:
        raw = array.tobytes()
        proto.MergeFromString(b"".join((tag, _varint(len(raw)), raw)))
        return
    getattr(proto, kind.field).extend(_field_values(array.reshape(-1), kind))


def _shape_of(proto: Any) -> tuple[int, ...]:
    if proto.unknown_rank or len(proto.dim) > MAX_RANK:
        raise MalformedTensor("unknown or too high rank")
    shape = tuple(dim.size for dim in proto.dim)
    if any(size < 0 for size in shape):
        raise MalformedTensor(f"negative size in shape {shape}")
    if math.prod(size for size in shape if size) >= 1 << 62:
        raise MalformedTensor(f"too many elements in shape {shape}")
    return shape


def _from_field(proto: Any, kind: ElementType, count: int) -> np.ndarray:
    given = getattr(proto, kind.field)
    parts_each = 2 if kind.number in {COMPLEX64, COMPLEX128} else 1
    have = len(given) // parts_each
    if have < count and count * max(kind.numpy.itemsize, 8) > MAX_FILLED_BYTES:
        raise MalformedTensor(f"{count} elements from {have} values")
    if kind.is_string:
        values = np.empty(have, np.object_)
        values[:] = list(given)
        blank: object = b""
    elif kind.number in {HALF, BFLOAT16}:
        values, blank = (np.array(given, np.int64) & 0xFFFF).astype(np.uint16).view(kind.numpy), 0
    elif parts_each == 2:
        part = np.float32 if kind.number == COMPLEX64 else np.float64
        values, blank = np.array(given[: have * 2], part).view(kind.numpy), 0
    else:
        # `int_val` is 32 bits wide whatever the element type; narrower ones wrap around.
        wide = np.int32 if kind.field == "int_val" else kind.numpy
        values, blank = np.array(given, wide).astype(kind.numpy, copy=False), 0
    if have == count:
        return values
    if have > count:
        return values[:count]
    filled = np.empty(count, kind.numpy)
    filled[:have] = values
    filled[have:] = values[-1] if have else blank
    return filled


def _field_values(flat: np.ndarray, kind: ElementType) -> Any:
    match kind.number:
        case n if n in {HALF, BFLOAT16}:
            return flat.view(np.uint16).tolist()
        case n if n == COMPLEX64:
            return flat.view(np.float32).tolist()
        case n if n == COMPLEX128:
            return flat.view(np.float64).tolist()
        case n if n == STRING:
            return [value if isinstance(value, bytes) else str(value).encode() for value in flat.tolist()]
        case _:
            return flat.tolist()


def _strings_from_content(content: bytes, count: int) -> np.ndarray:
    """TensorFlow's packed strings: `count` varint lengths, then all the bytes."""
    if count > len(content):
        raise MalformedTensor(f"{len(content)} bytes of content for {count} strings")
    lengths, position = [], 0
    for _ in range(count):
        length, shift = 0, 0
        while True:
            if position >= len(content) or shift > 28:
                raise MalformedTensor("string lengths cut off")
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if sum(lengths) != len(content) - position:
        raise MalformedTensor("string lengths do not add up")
    values = np.empty(count, np.object_)
    for index, length in enumerate(lengths):
        values[index] = content[position : position + length]
        position += length
    return values


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
