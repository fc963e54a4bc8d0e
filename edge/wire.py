"""Frames between the edge runner and whoever drives it: a JSON header and named arrays, over any pair of byte streams.

On the wire a frame is `TPE1`, the header's length (u32), the payload's length (u64), the header (JSON in UTF-8) and the
payload (safetensors, or nothing); both lengths are little-endian. Text travels as `edge.text` says.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as bytes_from_arrays

from edge.text import BYTES, ENDS, as_numbers, as_text, is_text

MAGIC = b"TPE1"
_LENGTHS = struct.Struct("<IQ")
# A header holds names and shapes. Lengths beyond these mean that the stream is out of step, not that a model is large.
_MOST_HEADER_BYTES = 16 * 2**20
_MOST_PAYLOAD_BYTES = 64 * 2**30

# What both TFLite and safetensors know.
_DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64"),
)
# safetensors keeps this name for itself.
_RESERVED = "__metadata__"

Arrays = Mapping[str, NDArray[Any]]


class CannotTravel(ValueError):
    """An array that a frame cannot carry, such as one of Python objects."""


class NotAFrame(Exception):
    """The stream broke off in the middle of a frame, or its frame is damaged."""


class Printed(NotAFrame):
    """Something else than a frame stands in the stream; `start` holds its first bytes."""

    def __init__(self, start: bytes) -> None:
        super().__init__(f"{start!r} stands where a frame should begin")
        self.start = start


@dataclass(frozen=True)
class Frame:
    """One message: what it is about, and the arrays that go with it."""

    header: Mapping[str, Any]
    arrays: Arrays = field(default_factory=dict)


def encoded(frame: Frame) -> tuple[bytes, bytes]:
    """The frame's bytes, in two parts to be sent one after the other. Raises CannotTravel."""
    header = json.dumps(frame.header).encode()
    payload = bytes_from_arrays(_all_plain(frame.arrays))
    return MAGIC + _LENGTHS.pack(len(header), len(payload)) + header, payload


def read_frame(read_exactly: Callable[[int], bytes | bytearray]) -> Frame | None:
    """The next frame, or None at the end of the stream.

    `read_exactly(count)` returns `count` bytes, fewer only where the stream ends. Raises NotAFrame.
    """
    magic = bytes(read_exactly(len(MAGIC)))
    if not magic:
        return None
    if magic != MAGIC:
        raise Printed(magic)
    lengths = read_exactly(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        raise NotAFrame("the stream ended at the start of a frame")
    header_bytes, payload_bytes = _LENGTHS.unpack(lengths)
    if header_bytes > _MOST_HEADER_BYTES or payload_bytes > _MOST_PAYLOAD_BYTES:
        raise NotAFrame(f"a frame claims a header of {header_bytes} and a payload of {payload_bytes} bytes")
    header = read_exactly(header_bytes)
    payload = read_exactly(payload_bytes)
    if len(header) < header_bytes or len(payload) < payload_bytes:
        raise NotAFrame(f"the stream ended {header_bytes + payload_bytes - len(header) - len(payload)} bytes too early")
    return _decoded(header, payload)


def _decoded(header: bytes | bytearray, payload: bytes | bytearray) -> Frame:
    try:
        parsed = json.loads(header)
        arrays = as_text(arrays_from_bytes(bytes(payload)))
    except (ValueError, RecursionError, KeyError, SafetensorError) as error:
        # KeyError is what safetensors makes of a dtype that it knows and NumPy does not, such as BF16.
        raise NotAFrame(f"a frame does not decode: {error}") from error
    if not isinstance(parsed, dict):
        raise NotAFrame(f"a frame's header is {type(parsed).__name__}, not an object")
    return Frame(header=parsed, arrays=arrays)


def _all_plain(arrays: Arrays) -> dict[str, NDArray[Any]]:
    plain: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        if name.startswith((ENDS, BYTES)):
            raise CannotTravel(f"an array cannot be called `{name}`")
        try:
            plain |= as_numbers(name, array) if is_text(array) else {name: _plain(name, array)}
        except TypeError as error:
            raise CannotTravel(f"`{name}` is of dtype {array.dtype}: {error}") from error
    return plain


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """The array in C order and the machine's own byte order: safetensors writes the memory as it lies."""
    if array.dtype.name not in _DTYPES:
        raise CannotTravel(f"`{name}` is of dtype {array.dtype}, which is none of {', '.join(_DTYPES)}")
    if name == _RESERVED:
        raise CannotTravel(f"an array cannot be called `{name}`")
    # Not ascontiguousarray, which makes a scalar a vector.
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
