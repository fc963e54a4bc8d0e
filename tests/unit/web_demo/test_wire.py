"""Tensors on their way to the page and back."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load, save

from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Signature, TensorSpec
from web_demo.wire import decoded, encoded


def signature(*, takes: str = "float32", gives: str = "float32") -> Signature:
    return Signature(
        name="serving_default",
        inputs=(TensorSpec(name="x", dtype=takes, shape=(None, 2)),),
        outputs=(TensorSpec(name="y", dtype=gives, shape=(None, 2)),),
    )


def answer(**tensors: np.ndarray) -> bytes:
    return save({"call_seconds": np.array([0.5, 0.25], np.float32), **tensors})


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("float32", "float32"),
        ("float16", "float32"),
        ("float64", "float32"),
        ("int64", "int32"),
        ("uint8", "int32"),
        ("bool", "bool"),
    ],
)
def test_inputs_become_a_type_that_tfjs_has(given: str, sent: str) -> None:
    """A model that takes int64 could not be compared in the browser at all."""
    values = np.array([[0, 1], [1, 0]]).astype(given)
    body = encoded({"x": values}, signature(takes=given))
    assert load(body)["x"].dtype == np.dtype(sent)
    np.testing.assert_array_equal(load(body)["x"], values)


@pytest.mark.parametrize(
    ("array", "first"),
    [
        (np.array([[1, 2**31], [3, 4]], np.int64), r"1 of 4 values do not fit: the first is 2147483648 at \(0, 1\)"),
        (np.array([[1, 2], [2**32 - 1, 4]], np.uint32), r"the first is 4294967295 at \(1, 0\)"),
        (np.array([[1.0, 1e300]]), r"the first is 1e\+300 at \(0, 1\)"),
        (np.array([[1.0, 2.0], [1e-50, 1.0]]), r"1 of 4 values do not fit: the first is 1e-50 at \(1, 0\)"),
    ],
)
def test_a_value_that_does_not_fit_is_named(array: np.ndarray, first: str) -> None:
    """Cut off silently, the browser would answer another question and be blamed for it."""
    with pytest.raises(TargetFailed, match=first):
        encoded({"x": array}, signature(takes=str(array.dtype)))


def test_doubles_are_rounded() -> None:
    """Of a model with double inputs hardly a sample fits exactly: it could not be compared in the browser at all."""
    values = np.array([[0.1, -np.pi], [1e30, 1.0]])
    sent = load(encoded({"x": values}, signature(takes="float64")))["x"]
    np.testing.assert_array_equal(sent, values.astype(np.float32))


def test_nan_and_infinity_fit_every_float() -> None:
    """They are equal to nothing or beyond every range, and must pass as what they are."""
    special = np.array([[np.nan, np.inf], [-np.inf, -0.0]], np.float64)
    np.testing.assert_array_equal(load(encoded({"x": special}, signature(takes="float64")))["x"], special)


def test_text_goes_there_and_back() -> None:
    """What a vocabulary looks up may hold anything: empty words, zeros, bytes that are no UTF-8."""
    words = np.array([[b"a", b""], [b"\xff\x00", "Größe".encode()]], object)
    named = signature(takes="string", gives="string")
    sent = load(encoded({"x": words}, named))
    assert {name: array.dtype.name for name, array in sent.items()} == {"text-ends:x": "int32", "text-bytes:x": "uint8"}
    answered = {name.replace(":x", ":output:y"): array for name, array in sent.items()}
    got = decoded(save({**answered, "call_seconds": np.ones(1, np.float32)}), named, sample_count=2)
    assert got.outputs["y"].tolist() == words.tolist()


def test_text_is_no_number_and_numbers_are_no_text() -> None:
    with pytest.raises(TargetFailed, match="is float32 in the browser, the signature promises string"):
        decoded(answer(**{"output:y": np.zeros((1, 2), np.float32)}), signature(gives="string"), sample_count=1)


def test_inputs_of_another_name_are_refused() -> None:
    """Pairing them by position is how inputs are swapped."""
    with pytest.raises(TargetFailed, match=r"given \['z'\], the signature takes \['x'\]"):
        encoded({"z": np.zeros((1, 2), np.float32)}, signature())


@pytest.mark.parametrize(("carried", "promised"), [("int32", "int64"), ("int32", "uint8"), ("bool", "bool")])
def test_outputs_come_back_in_the_type_of_the_signature(carried: str, promised: str) -> None:
    """The comparator refuses other types, though here only TF.js lacks them."""
    values = np.array([[0, 1]]).astype(carried)
    got = decoded(answer(**{"output:y": values}), signature(gives=promised), sample_count=1)
    assert got.outputs["y"].dtype == np.dtype(promised)
    assert got.call_seconds.dtype == np.float64
    np.testing.assert_array_equal(got.call_seconds, [0.5, 0.25])


def test_an_output_may_be_called_as_the_times_are() -> None:
    """Names belong to the model: none may be reserved."""
    named = Signature(
        name="serving_default",
        inputs=(),
        outputs=(TensorSpec(name="call_seconds", dtype="float32", shape=(None,)),),
    )
    got = decoded(answer(**{"output:call_seconds": np.ones(3, np.float32)}), named, sample_count=3)
    np.testing.assert_array_equal(got.outputs["call_seconds"], [1, 1, 1])


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({}, r"answered \[\], the signature promises \['y'\]"),
        ({"output:z": np.zeros((1, 2), np.float32)}, r"answered \['z'\]"),
        ({"output:y": np.zeros((2, 2), np.float32)}, r"shape \[2, 2\] for 1 samples"),
        ({"output:y": np.zeros((), np.float32)}, r"shape \[\] for 1 samples"),
        ({"output:y": np.zeros((1, 2), np.int32)}, "is int32 in the browser, the signature promises float32"),
    ],
    ids=["missing", "renamed", "another count", "no rows", "another type"],
)
def test_answers_that_break_the_signature_are_refused(tensors: dict[str, np.ndarray], said: str) -> None:
    """Compared anyway, they would pass or fail for the wrong reason."""
    with pytest.raises(TargetFailed, match=said):
        decoded(answer(**tensors), signature(), sample_count=1)


def test_an_unreadable_answer_is_told_as_such() -> None:
    """A page from another build may speak another format."""
    with pytest.raises(TargetFailed, match="cannot be read"):
        decoded(b"no tensors", signature(), sample_count=1)
