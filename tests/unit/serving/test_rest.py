"""Row format in and out: the same bits, the same names, and every shape of answer that TensorFlow Serving has."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.core.signature import Signature, TensorSpec
from serving.rest import answer_tensors, request_body


def signature(inputs: dict[str, str], outputs: dict[str, str]) -> Signature:
    def specs(dtypes: dict[str, str]) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec(name=name, dtype=dtype, shape=(None,)) for name, dtype in dtypes.items())

    return Signature(name="serving_default", inputs=specs(inputs), outputs=specs(outputs))


ONE = signature({"x": "float32"}, {"y": "float32"})


@given(arrays.arrays(np.uint32, 4, elements=st.integers(0, 2**32 - 1)))
def test_every_float32_reads_back_as_the_same_bits(bits: np.ndarray) -> None:
    """A server parses decimals as doubles and rounds them to float32; rounding twice would change the last bit."""
    values = bits.view(np.float32)
    parsed = np.asarray(json.loads(request_body({"x": values}, ONE))["instances"], dtype=np.float64).astype(np.float32)
    finite = np.isfinite(values)
    assert parsed[finite].tobytes() == values[finite].tobytes()
    np.testing.assert_array_equal(parsed, values)


def test_what_is_not_finite_is_written_as_the_server_reads_it() -> None:
    """`null` is refused, and `nan` too; only the words that TensorFlow Serving knows get through."""
    body = request_body({"x": np.asarray([np.nan, np.inf, -np.inf, 1], np.float32)}, ONE)
    assert body == b'{"signature_name": "serving_default", "instances": [NaN, Infinity, -Infinity, 1.0]}'


def test_several_inputs_make_an_object_a_row() -> None:
    """Bare values would be paired with inputs by their order, which nobody promises."""
    two = signature({"a": "float32", "b": "int64"}, {"y": "float32"})
    body = request_body({"a": np.asarray([[1, 2], [3, 4]], np.float32), "b": np.asarray([5, 2**53 + 1])}, two)
    assert json.loads(body)["instances"] == [{"a": [1.0, 2.0], "b": 5}, {"a": [3.0, 4.0], "b": 2**53 + 1}]
    infinite = request_body({"a": np.asarray([[np.inf, 2]], np.float32), "b": np.asarray([5])}, two)
    assert json.loads(infinite)["instances"] == [{"a": [np.inf, 2.0], "b": 5}]


def test_strings_travel_as_base64() -> None:
    """A JPEG is no valid JSON string."""
    body = request_body({"s": np.asarray([b"\xff", "a"], object)}, signature({"s": "string"}, {"y": "string"}))
    assert json.loads(body)["instances"] == [{"b64": "/w=="}, {"b64": "YQ=="}]


def test_answers_take_the_signatures_dtype() -> None:
    """Nine digits read as double and compared with a float32 differ in every value."""
    outputs = answer_tensors(b'{\n    "predictions": [3.14159274, 1e+20, -0.0\n    ]\n}', ONE)
    assert outputs["y"].dtype == np.float32
    assert outputs["y"].tobytes() == np.asarray([np.pi, 1e20, -0.0], np.float32).tobytes()


def test_the_words_for_what_is_not_finite_are_read() -> None:
    """TensorFlow Serving writes them bare, which is no JSON."""
    outputs = answer_tensors(b'{"predictions": [NaN, Infinity, -Infinity]}', ONE)
    np.testing.assert_array_equal(outputs["y"], np.asarray([np.nan, np.inf, -np.inf], np.float32))


def test_several_outputs_are_paired_by_name() -> None:
    """Their order in an answer is no promise."""
    both = signature({"x": "float32"}, {"label": "string", "sum_bytes": "string", "n": "int64"})
    body = b'{"predictions": [{"n": 9007199254740993, "sum_bytes": {"b64": "/w=="}, "label": "a"}]}'
    outputs = answer_tensors(body, both)
    assert outputs["n"].tolist() == [9007199254740993]
    assert outputs["sum_bytes"].tolist() == [b"\xff"]
    assert outputs["label"].tolist() == [b"a"]


def test_raw_bytes_in_an_answer_survive() -> None:
    """TensorFlow Serving writes string outputs as they are, even when they are no valid UTF-8."""
    outputs = answer_tensors(b'{"predictions": ["\xff\xe4"]}', signature({"x": "float32"}, {"s": "string"}))
    assert outputs["s"].tolist() == [b"\xff\xe4"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "Expecting value"),
        (b'{"outputs": 1}', "predictions"),
        (b'{"predictions": [[1], [1, 2]]}', "inhomogeneous"),
        (b'{"predictions": ["1.5"]}', "should hold float32"),
        (b'{"predictions": [null, 1.0]}', "should hold float32"),
        (b'{"predictions": [true]}', "should hold float32"),
    ],
)
def test_an_answer_that_is_none_is_refused(body: bytes, reason: str) -> None:
    """Half-read answers would be compared as if they were whole."""
    with pytest.raises((ValueError, TypeError, KeyError), match=reason):
        answer_tensors(body, ONE)


def test_a_fraction_is_no_integer() -> None:
    """NumPy would cut it off, and the comparison would see a label that nobody answered."""
    with pytest.raises(TypeError, match="should hold int64, and holds float64"):
        answer_tensors(b'{"predictions": [1, 1.5]}', signature({"x": "float32"}, {"n": "int64"}))


def test_a_row_without_an_output_is_refused() -> None:
    """A missing output must not be filled in or skipped."""
    with pytest.raises(ValueError, match=r"row 1 has the outputs \['a'\], expected \['a', 'b'\]"):
        answer_tensors(
            b'{"predictions": [{"a": 1, "b": 2}, {"a": 1}]}',
            signature({"x": "float32"}, {"a": "float32", "b": "float32"}),
        )
