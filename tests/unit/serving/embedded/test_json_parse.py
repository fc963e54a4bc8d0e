"""The exact reader accepts and refuses as TensorFlow Serving does, down to the byte offset."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.embedded.json_parse import MAX_DEPTH, JsonObject, parse
from serving.embedded.status import ServingError


def plain(value: object) -> object:
    if isinstance(value, JsonObject):
        return {key: plain(item) for key, item in value}
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The document is empty"),
        (b"  ", "The document is empty. at offset: 2"),
        (b"\x00[]", "The document is empty. at offset: 0"),
        (b"{", "Missing a name for object member. at offset: 1"),
        (b'{"a"', "Missing a colon after a name of object member. at offset: 4"),
        (b'{"a":1', "Missing a comma or '}' after an object member. at offset: 6"),
        (b'{"a":1,}', "Missing a name for object member. at offset: 7"),
        (b"[1", "Missing a comma or ']' after an array element. at offset: 2"),
        (b"[1,]", "Invalid value. at offset: 3"),
        (b"[01]", "Missing a comma or ']' after an array element. at offset: 2"),
        (b"[+1]", "Invalid value. at offset: 1"),
        (b"[1.]", "Miss fraction part in number. at offset: 3"),
        (b"[1e]", "Miss exponent in number. at offset: 3"),
        (b"[1e400]", "Number too big to be stored in double. at offset: 1"),
        (b"nul", "Invalid value. at offset: 3"),
        (b"nan", "Invalid value. at offset: 1"),
        (b"Infinite", "Invalid value. at offset: 7"),
        (b'"abc', "Missing a closing quotation mark in string. at offset: 4"),
        (b'"a\nb"', "Invalid encoding in string. at offset: 2"),
        (b'"\\x"', "Invalid escape character in string. at offset: 1"),
        (b'"\\u12g4"', "Incorrect hex digit after \\u escape in string. at offset: 1"),
        (b'"\\ud800x"', "The surrogate pair in string is invalid. at offset: 1"),
        (b"[" * (MAX_DEPTH + 1), f"Terminate parsing due to Handler error. at offset: {MAX_DEPTH + 1}"),
    ],
)
def test_malformed_documents_are_refused_where_the_original_refuses_them(body: bytes, message: str) -> None:
    """Clients show these texts to people; a wrong offset sends them to the wrong place."""
    with pytest.raises(ServingError) as refused:
        parse(body)
    assert refused.value.message == f"JSON Parse error: {message}"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":[1]} rest', {"a": [1]}),
        (b"\xef\xbb\xbf[1]", [1]),
        (b"[Infinity, -Inf, Inf]", [math.inf, -math.inf, math.inf]),
        (b"[18446744073709551615, -9223372036854775808]", [(1 << 64) - 1, -(1 << 63)]),
        (b"[18446744073709551616]", [18446744073709551616.0]),
        (b'"\\ud83d\\ude00\\u00e4\\/"', "😀ä/"),
        (b'"\xff"', "\udcff"),
        (b"[1e-400, -0.0]", [0.0, -0.0]),
    ],
)
def test_what_the_original_takes_is_taken(body: bytes, value: object) -> None:
    """A stricter reader would refuse clients that TensorFlow Serving serves."""
    assert plain(parse(body)) == value


def test_the_first_of_two_equal_keys_counts() -> None:
    """TensorFlow Serving answers by the first; Python's own parsers keep the last."""
    document = parse(b'{"x": 1, "x": 2}')
    assert isinstance(document, JsonObject)
    assert document.find("x") == (True, 1)


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-(1 << 63), 1 << 63), st.text(), st.floats(allow_nan=False)),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
        max_leaves=20,
    )
)
def test_every_valid_document_is_read_as_pythons_parser_reads_it(document: object) -> None:
    """Otherwise a valid request would reach the model with other values; doubles may differ in their last place."""
    assert close(plain(parse(json.dumps(document).encode())), json.loads(json.dumps(document)))


def close(got: object, want: object) -> bool:
    match got, want:
        case list(), list():
            return len(got) == len(want) and all(map(close, got, want))
        case dict(), dict():
            return got.keys() == want.keys() and all(close(got[key], want[key]) for key in want)
        case float(), float():
            return math.isclose(got, want, rel_tol=1e-14) or got == want
        case _:
            return got == want and type(got) is type(want)


def test_depth_costs_no_stack() -> None:
    """A few kilobytes of brackets must not end the process."""
    assert parse(b"[" * 9000 + b"]" * 9000)
