"""Arrays travel as TensorFlow's messages without losing a bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.protos import enum_numbers, message
from serving.tensors import from_proto, to_proto

NUMBERS = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@given(st.sampled_from((*NUMBERS, "bool")).flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_side=0))))
def test_every_bit_comes_back(array: np.ndarray) -> None:
    """NaN payloads, -0.0 and denormals are among the values that a lossy path would change."""
    back = from_proto(to_proto(array, array.dtype.name))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_strings_are_bytes() -> None:
    """Text that is decoded on the way breaks images and protos sent as strings."""
    array = np.asarray([[b"\xff\x00", "ä"]], dtype=object)
    back = from_proto(to_proto(array, "string"))
    assert back.tolist() == [[b"\xff\x00", "ä".encode()]]


def proto(dtype: str, shape: tuple[int, ...], **values: object) -> object:
    made = message("tensorflow.TensorProto")(dtype=enum_numbers("tensorflow.DataType")[dtype], **values)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def test_values_in_typed_fields_are_read() -> None:
    """TensorFlow Serving answers so by default; only our own requests carry bytes."""
    np.testing.assert_array_equal(
        from_proto(proto("DT_FLOAT", (1, 2), float_val=[0.5, 2])), np.asarray([[0.5, 2]], np.float32)
    )
    np.testing.assert_array_equal(from_proto(proto("DT_UINT8", (2,), int_val=[0, 255])), np.asarray([0, 255], np.uint8))
    np.testing.assert_array_equal(
        from_proto(proto("DT_HALF", (2,), half_val=[0x3C00, 0xC000])), np.asarray([1, -2], np.float16)
    )


def test_a_repeated_last_value_is_filled_in() -> None:
    """The format allows it, and a client that does not know it sees a tensor of the wrong size."""
    np.testing.assert_array_equal(from_proto(proto("DT_INT64", (4,), int64_val=[7, 8])), [7, 8, 8, 8])


def test_an_unknown_dtype_is_named() -> None:
    """Guessing a dtype compares noise."""
    with pytest.raises(ValueError, match="DT_COMPLEX64"):
        from_proto(proto("DT_COMPLEX64", (1,)))
    with pytest.raises(ValueError, match="complex64"):
        to_proto(np.zeros(1, np.complex64), "complex64")
