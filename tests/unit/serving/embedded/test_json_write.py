"""Numbers, lists and quoted values are written as TensorFlow Serving writes them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.embedded.json_parse import parse
from serving.embedded.json_write import decimal_texts, error_body, nested, shortest, value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(0.1), "0.1"),
        (np.float32(np.pi), "3.14159274"),
        (np.float64(np.pi), "3.1415926535897931"),
        (np.float32(100), "100.0"),
        (np.float32(1e20), "1e+20"),
        (np.float32(1e-5), "1e-05"),
        (np.float32(16777216), "16777216.0"),
        (np.float32(-0.0), "-0.0"),
        (np.float32(1e-45), "0.0"),
        (np.float64(0.1) + 0.2, "0.30000000000000004"),
        (np.float64(1.7976931348623157e308), "1.7976931348623157e+308"),
        (np.float32("nan"), "NaN"),
        (np.float64("-inf"), "-Infinity"),
        (np.float32(3.4028235e38), "3.40282347e+38"),
    ],
)
def test_numbers_have_the_recorded_texts(value: np.generic, text: str) -> None:
    """Clients that compare answers as text, and the parity check, would see differences that are not there."""
    assert decimal_texts(np.array([value])) == [text]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False), max_size=60))
def test_every_float_reads_back_as_itself(values: list[float]) -> None:
    """The JSON answer would otherwise lose digits that the model computed."""
    array = np.array(values, np.float32)
    assert decimal_texts(array) == [text for value in array for text in decimal_texts(value.reshape(1))]
    back = np.array([float(text) for text in decimal_texts(array)], np.float32)
    assert array.tobytes() == back.tobytes()


def test_lists_are_indented_or_on_one_line() -> None:
    """The layout is part of the answer: row format keeps a row on a line, column format never does."""
    assert nested(["1", "2", "3", "4"], [2, 2], level=0, one_line=True) == "[[1, 2], [3, 4]]"
    assert nested(["1", "2"], [2, 1], level=0, one_line=False) == (
        "[\n    [\n        1\n    ],\n    [\n        2\n    ]\n]"
    )
    assert nested([], [0, 3], level=0, one_line=False) == "[]"
    assert nested([], [2, 0], level=0, one_line=True) == "[[], []]"
    assert nested(["7"], [], level=3, one_line=True) == "7"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"a":[1,{"b":null}],"c":true}', '{\n    "a": [1, {\n            "b": null\n        }],\n    "c": true\n}'),
        (b"1.50", "1.5"),
        (b"[1.50, 1e300]", "[1.5, 1e300]"),
        (b'"q\\"\\u0001"', '"q\\"\\u0001"'),
        (b"{}", "{}"),
        (b"[NaN, 1]", "["),
    ],
)
def test_refused_values_are_quoted_as_the_original_quotes_them(body: bytes, text: str) -> None:
    """The message shows people which part of their request was wrong."""
    assert value_text(parse(body)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1e16, "10000000000000000.0"), (1e21, "1e21"), (1e-6, "0.000001"), (1.5e-7, "1.5e-7")]
)
def test_shortest_texts_switch_to_exponents_where_rapidjson_does(value: float, text: str) -> None:
    """Numbers inside a quoted document follow another rule than numbers in an answer."""
    assert shortest(value) == text


@given(st.text())
def test_an_error_body_is_json_whatever_the_message(message: str) -> None:
    """A client could not read why it was refused."""
    message = message.encode("utf-8", "replace").decode()
    assert json.loads(error_body(message)) == {"error": message}
