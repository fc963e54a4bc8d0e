"""The wire between the edge runner and its driver carries every number unchanged, and notices everything else."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray
from safetensors.numpy import save as bytes_from_arrays

from edge.wire import MAGIC, CannotTravel, Frame, NotAFrame, encoded, read_frame

# Every bit pattern of floats is drawn, NaN payloads, infinities and -0 among them.
_NUMBERS = st.one_of(
    st_numpy.boolean_dtypes(),
    st_numpy.integer_dtypes(),
    st_numpy.unsigned_integer_dtypes(),
    st_numpy.floating_dtypes(sizes=(16, 32, 64)),
)
_ARRAYS = _NUMBERS.flatmap(
    lambda dtype: st_numpy.arrays(dtype, st_numpy.array_shapes(min_dims=0, min_side=0, max_side=4))
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.text(min_size=1).filter(lambda name: name != "__metadata__")


def sent(frame: Frame) -> Frame | None:
    return read_frame(io.BytesIO(b"".join(encoded(frame))).read)


def bits(array: NDArray[Any]) -> bytes:
    return array.astype(array.dtype.newbyteorder("=")).tobytes()


# A machine that is busy draws slowly; that is no fault of the wire.
_PATIENT = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@_PATIENT
@given(header=st.dictionaries(st.text(), _JSON, max_size=3), arrays=st.dictionaries(_NAMES, _ARRAYS, max_size=3))
def test_a_frame_arrives_as_it_was_sent(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """A parity check over a wire that changes values would find the wire's differences, or hide the runtime's."""
    got = sent(Frame(header, arrays))
    assert got is not None
    assert got.header == header
    assert got.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert got.arrays[name].shape == array.shape
        assert got.arrays[name].dtype == array.dtype.newbyteorder("=")
        assert bits(got.arrays[name]) == bits(array)


@pytest.mark.parametrize(
    "array",
    [
        np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308]),
        np.array(np.float32(-0.0)),
        np.zeros((0, 8, 8, 1), np.float32),
        np.arange(24, dtype=np.int16).reshape(2, 3, 4).T,
        np.arange(10, dtype=np.uint8)[::-2],
        np.arange(4, dtype=">f4"),
        np.broadcast_to(np.float32(3), (2, 3)),
        np.array([True, False]),
        np.array([1 + 2j], dtype=np.complex64),
    ],
    ids=[
        "special floats",
        "0-d",
        "empty batch",
        "transposed",
        "reversed",
        "big-endian",
        "broadcast",
        "bool",
        "complex",
    ],
)
def test_arrays_that_lie_oddly_in_memory_arrive_whole(array: NDArray[Any]) -> None:
    """Memory is written as it lies: a transposed array would arrive as another one, without an error."""
    got = sent(Frame({}, {"array": array}))
    assert got is not None
    assert got.arrays["array"].shape == array.shape
    assert bits(got.arrays["array"]) == bits(array)


def test_frames_follow_one_another() -> None:
    """Out of step, an answer would be taken for that to another question."""
    stream = io.BytesIO(b"".join(part for number in range(3) for part in encoded(Frame({"number": number}))))
    assert [read_frame(stream.read) for _ in range(3)] == [Frame({"number": number}) for number in range(3)]
    assert read_frame(stream.read) is None


@given(cut=st.integers(1, 10_000))
def test_a_frame_that_breaks_off_is_noticed(cut: int) -> None:
    """Otherwise the half that came of a killed runner's answer would be compared."""
    data = b"".join(encoded(Frame({"do": "run"}, {"image": np.arange(30, dtype=np.float32)})))
    with pytest.raises(NotAFrame):
        read_frame(io.BytesIO(data[: -(cut % (len(data) - 1)) - 1]).read)


@given(data=st.binary(min_size=1))
def test_anything_else_than_a_frame_is_noticed(data: bytes) -> None:
    """What a library prints must not be read as a length, and gigabytes be waited for."""
    with pytest.raises(NotAFrame):
        read_frame(io.BytesIO(data).read)


@given(data=st.binary(max_size=60))
def test_damage_behind_the_magic_is_noticed(data: bytes) -> None:
    """As above, when the first four bytes happen to be right."""
    try:
        frame = read_frame(io.BytesIO(MAGIC + data).read)
    except NotAFrame:
        return
    assert frame is not None
    assert json.dumps(frame.header)


_TEXTS = st_numpy.arrays(
    object, st_numpy.array_shapes(min_dims=0, min_side=0, max_side=3), elements=st.binary(max_size=5), fill=st.nothing()
)


@_PATIENT
@given(words=_TEXTS, numbers=_ARRAYS)
def test_text_arrives_as_it_was_sent(words: NDArray[Any], numbers: NDArray[Any]) -> None:
    """Empty elements, bytes that are no UTF-8 and trailing zeros, which NumPy's own text types lose."""
    got = sent(Frame({}, {"words": words, "numbers": numbers}))
    assert got is not None
    assert got.arrays.keys() == {"words", "numbers"}
    assert got.arrays["words"].shape == words.shape
    assert got.arrays["words"].tolist() == words.tolist()


def test_text_whose_bytes_are_cut_off_is_not_taken() -> None:
    payload = bytes_from_arrays({"text-ends:t": np.array([3], np.int64), "text-bytes:t": np.zeros(2, np.uint8)})
    frame = MAGIC + struct.pack("<IQ", 2, len(payload)) + b"{}" + payload
    with pytest.raises(NotAFrame, match="the bytes of the text `t` do not fit"):
        read_frame(io.BytesIO(frame).read)


@pytest.mark.parametrize(
    ("name", "array", "complaint"),
    [
        ("text-ends:words", np.zeros(1), "cannot be called `text-ends:words`"),
        ("objects", np.array([None]), "`objects` is of dtype object"),
        ("wide", np.array([1j]), "`wide` is of dtype complex128"),
        ("__metadata__", np.zeros(1), "cannot be called `__metadata__`"),
    ],
)
def test_what_cannot_travel_is_refused_by_name(name: str, array: NDArray[Any], complaint: str) -> None:
    """A user should read what it was, not a stack of a library's errors."""
    with pytest.raises(CannotTravel, match=complaint):
        encoded(Frame({}, {name: array}))
