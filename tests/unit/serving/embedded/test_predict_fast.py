"""The quick reader may only answer where the exact one answers the same."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.embedded.dtypes import ELEMENT_TYPES
from serving.embedded.predict_fast import read_plain_predict
from serving.embedded.predict_read import PredictInputs, read_predict
from serving.embedded.signatures import TensorSpec
from serving.embedded.status import ServingError


def specs(*dtypes: int) -> dict[str, TensorSpec]:
    return {
        name: TensorSpec(tensor=f"{name}:0", dtype=dtype, shape=None)
        for name, dtype in zip("xyz", dtypes, strict=False)
    }


def agree(body: bytes, *dtypes: int) -> bool:
    """Whether the quick reader answered; fails where its answer is not the exact reader's."""
    quick = read_plain_predict(body, lambda _: specs(*dtypes))
    if quick is None:
        return False
    exact = read_predict(body, lambda _: specs(*dtypes))
    assert_equal(quick, exact)
    return True


def assert_equal(quick: PredictInputs, exact: PredictInputs) -> None:
    assert (quick.signature_name, quick.row_format) == (exact.signature_name, exact.row_format)
    assert quick.arrays.keys() == exact.arrays.keys()
    for name, want in exact.arrays.items():
        got = quick.arrays[name]
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        if want.dtype == np.object_:
            assert got.tolist() == want.tolist()
        else:
            assert got.tobytes() == want.tobytes()


numbers = st.one_of(
    st.integers(-(1 << 70), 1 << 70),
    st.sampled_from([0, 1, 255, 256, -1, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(width=32),
)
scalars = st.one_of(
    numbers,
    st.booleans(),
    st.none(),
    st.text(max_size=4),
    st.fixed_dictionaries({"b64": st.sampled_from(["YQ==", "YQ", "-", "Y"])}),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4), max_leaves=12)
uniform = st.lists(st.lists(numbers, min_size=2, max_size=2), max_size=4)
named = st.dictionaries(st.sampled_from(["x", "y", "q", "b64"]), values, max_size=3)
arrays = st.lists(st.integers(1, 3), min_size=1, max_size=4).flatmap(
    lambda shape: st.lists(numbers, min_size=math.prod(shape), max_size=math.prod(shape)).map(
        lambda flat: np.array(flat, object).reshape(shape).tolist()
    )
)
documents = st.dictionaries(
    st.sampled_from(["instances", "inputs", "signature_name", "other"]),
    st.one_of(values, uniform, arrays, named, st.lists(named, max_size=3), st.lists(scalars, max_size=3)),
    max_size=3,
)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents, st.sampled_from(sorted(ELEMENT_TYPES)), st.integers(1, 2))
def test_whatever_the_quick_reader_answers_the_exact_one_answers_too(document: object, dtype: int, inputs: int) -> None:
    """Without it, the speed of a request would decide what is answered."""
    body = json.dumps(document).encode()
    agree(body, dtype, *[dtype] * (inputs - 1))


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [-0, -0.0, 0]}',
        b'{"instances": [12345678901234567890123]}',
        b'{"instances": [1e39, -1e39, 1e-50, 1e-40]}',
        b'{"instances": [0.1, 1E5, 1e-5]}',
        b'{"inputs": 3}',
        b'{"inputs": []}',
        b'{"instances": [[], []]}',
    ],
)
def test_awkward_numbers_are_read_alike(body: bytes) -> None:
    """A client would get another last digit, or another sign of zero, depending on which reader took the body."""
    for dtype in (1, 2, 9, 3):
        try:
            agree(body, dtype)
        except ServingError:
            pytest.fail("the quick reader answered what the exact one refuses")


@pytest.mark.parametrize(
    ("body", "dtypes"),
    [
        (b'{"inputs":{"x":[1],"x":[2]}}', (1,)),
        (b'{"instances": ["1"]}', (1,)),
        (b'{"instances": [true]}', (1,)),
        (b'{"instances": [null]}', (1,)),
        (b'{"instances": [1.0]}', (3,)),
        (b'{"instances": [true, 1]}', (10,)),
        (b'{"instances": [NaN]}', (1,)),
        (b'{"instances": [1]} x', (1,)),
        (b'{"instances": [[1], [1, 2]]}', (1,)),
        (b'{"instances": [0.30000000000000004]}', (2,)),
        (b'{"instances": [1], "instances": [2]}', (1,)),
    ],
)
def test_doubtful_bodies_go_to_the_exact_reader(body: bytes, dtypes: tuple[int, ...]) -> None:
    """A strict parser reads these differently, or not at all."""
    assert read_plain_predict(body, lambda _: specs(*dtypes)) is None


@pytest.mark.parametrize(
    "text",
    [
        *("[[1],[2,3]]", "[[1],[]]", "[1[2]]", "[[1]2]", "[1 2]", "[1,,2]", "[[],[1]]", "[[1,2],[3]]", "[[[1]],[2]]"),
        *("[[1,2],3]", "[1,[2]]", "[]", "[[]]", "[[1],[2]],[3]", "[1]]", "[[1]", "[[1],[2],]", "[e]", "[--1]", "[1.]"),
    ],
)
@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_irregular_lists_are_never_taken_for_regular_ones(text: str, key: str) -> None:
    """The nesting is checked as text; a gap there would reshape a client's numbers into another tensor."""
    body = f'{{"{key}": {text}}}'.encode()
    if read_plain_predict(body, lambda _: specs(1)) is not None:
        assert agree(body, 1)


def test_plain_bodies_do_take_the_quick_way() -> None:
    """If they did not, every request would cost ten times as much and nothing would say so."""
    assert agree(b'{"instances": [[1.5, 2], [3, 4]]}', 1)
    assert agree(b' {"signature_name" : "a" , "inputs": [ [[1], [2]] ,\n[[3], [4e5]]] }', 1)
    assert agree(b'{"signature_name": "serving_default", "instances": [{"x": 1, "y": [2, 3]}]}', 3, 9)
    assert agree(b'{"inputs": {"x": ["a", {"b64": "YQ=="}]}}', 7)
    assert agree(b'{"instances": [true, false]}', 10)
