"""Frames that are well-formed outside and unusable inside are refused as all damaged ones are."""

from __future__ import annotations

import io
import json
import struct

import pytest

from edge.wire import MAGIC, NotAFrame, read_frame

NO_ARRAYS = struct.pack("<Q", 2) + b"{}"


def payload_of(dtype: str, size: int) -> bytes:
    header = json.dumps({"a": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (b"{}", payload_of("BF16", 2)),
        (b"{}", payload_of("F8_E4M3", 1)),
        (b"{}", payload_of("NOPE", 1)),
        (b"[]", NO_ARRAYS),
        (b"\xff", NO_ARRAYS),
        (b"[" * 200_000, NO_ARRAYS),
    ],
    ids=["bfloat16", "float8", "unknown dtype", "no object", "no text", "nested"],
)
def test_any_unusable_frame_is_refused_in_one_way(header: bytes, payload: bytes) -> None:
    """Any other exception would pass by the code that names the runner, its log and the mend."""
    lengths = struct.pack("<4sIQ", MAGIC, len(header), len(payload))
    with pytest.raises(NotAFrame):
        read_frame(io.BytesIO(lengths + header + payload).read)
