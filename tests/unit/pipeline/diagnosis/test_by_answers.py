"""Answers damaged in a known way, and the cause that is named; nothing is named where nothing fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.artifact import Format, Precision
from pipeline.core.signature import Tensors
from pipeline.diagnosis.by_answers import diagnosed_by_answers
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.values import sigmoid, softmax
from pipeline.parity.diagnosis import UNKNOWN
from pipeline.parity.tolerances import tolerance_for

SAMPLES, CLASSES = 130, 10
Array = NDArray[Any]
_random = np.random.default_rng(0)
LOGITS = (_random.normal(size=(SAMPLES, CLASSES)) * 3).astype(np.float32)
SCORES = softmax(LOGITS.astype(np.float64)).astype(np.float32)
BOXES = _random.normal(size=(SAMPLES, 4, 4, 3)).astype(np.float32)


def case(
    want: Tensors, answers: dict[int, Tensors], *, precision: Precision = Precision.FLOAT32, earlier: Any = None
) -> Case:
    tolerance = tolerance_for(Format.TFLITE, precision, {})
    return Case(
        inputs={"image": LOGITS},
        want=want,
        answers=answers,
        tolerances=dict.fromkeys(want, tolerance),
        scores_output="scores" if "scores" in want else None,
        classes=tuple("0123456789"),
        earlier=earlier or {},
    )


def cause_of(want: Array, got: Array, *, name: str = "scores", precision: Precision = Precision.FLOAT32) -> str:
    return diagnosed_by_answers(case({name: want}, {64: {name: got}}, precision=precision)).cause


def reversed_batches(values: Array) -> Array:
    return np.concatenate([values[start : start + 64][::-1] for start in range(0, len(values), 64)])


VALUES: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "logits": ("softmax_missing", lambda _: LOGITS),
    "softmax twice": ("softmax_doubled", lambda scores: softmax(scores.astype(np.float64))),
    "log softmax": ("log_of_answers", np.log),
    "two classes": ("classes_permuted", lambda scores: scores[:, [0, 1, 2, 8, 4, 5, 6, 7, 3, 9]]),
    "classes shifted": ("classes_permuted", lambda scores: np.roll(scores, 1, axis=1)),
    "classes mixed": ("classes_permuted", lambda scores: scores[:, np.random.default_rng(1).permutation(CLASSES)]),
    "times 255": ("output_scaled", lambda scores: scores * 255),
    "plus one step": ("output_offset", lambda scores: scores + np.float32(0.25)),
    "scale and offset": ("output_affine", lambda scores: scores * np.float32(0.5) - np.float32(0.25)),
    "cut off at 0.5": ("output_saturated", lambda scores: np.minimum(scores, 0.5)),
    "float16": ("precision_float16", lambda scores: scores.astype(np.float16).astype(np.float32)),
    "next sample": ("rows_shifted", lambda scores: np.roll(scores, -1, axis=0)),
    "one call late": ("rows_shifted", lambda scores: np.concatenate([scores[:64], scores[:-64]])),
    "reversed in batches": ("rows_reversed", reversed_batches),
    "first row for all": ("rows_repeated", lambda scores: np.repeat(scores[::64], 64, axis=0)[:SAMPLES]),
    "constant": ("input_ignored", lambda scores: np.broadcast_to(scores.mean(0), scores.shape).copy()),
    "all NaN": ("non_finite_weights", lambda scores: np.full_like(scores, np.nan)),
    "first call": (
        "wrong_after_first_calls",
        lambda scores: np.concatenate([scores[:64], np.random.default_rng(2).permutation(scores[64:])[:, ::-1]]),
    ),
}


@pytest.mark.parametrize("damage", VALUES)
def test_the_cause_of_damaged_scores_is_named(damage: str) -> None:
    cause, damaged = VALUES[damage]
    assert cause_of(SCORES, damaged(SCORES).astype(np.float32)) == cause


@pytest.mark.parametrize(
    ("cause", "damaged"),
    [
        ("axes_transposed", BOXES.transpose(0, 2, 1, 3)),
        ("axes_transposed", np.ascontiguousarray(BOXES.transpose(0, 3, 1, 2))),
        ("axes_transposed", np.ascontiguousarray(BOXES.transpose(0, 3, 1, 2)).reshape(BOXES.shape)),
        ("axis_flipped", BOXES[:, :, ::-1]),
        ("sigmoid_doubled", sigmoid(BOXES.astype(np.float64)).astype(np.float32)),
        ("relu_added", np.maximum(BOXES, 0)),
        ("sign_flipped", -BOXES),
        ("integer_rounded", np.rint(BOXES)),
        ("integer_truncated", np.trunc(BOXES)),
        ("dtype_changed", np.trunc(BOXES).astype(np.int32)),
        ("quantized_codes", np.rint(BOXES / 0.05 + 3).astype(np.int16)),
    ],
)
def test_the_cause_of_damaged_pictures_is_named(cause: str, damaged: Array) -> None:
    assert cause_of(BOXES, damaged, name="boxes") == cause


def test_scores_of_another_model_are_not_called_cut_off() -> None:
    """What is left of a score without its fraction is 0, which other scores are near as well."""
    random = np.random.default_rng(4)
    sure = np.array([6.0, 2.0, 1.0, *[0.0] * 7])
    want = softmax(sure + random.normal(size=SCORES.shape, scale=0.02)).astype(np.float32)
    other = softmax(sure * 0.7 + random.normal(size=SCORES.shape, scale=0.05)).astype(np.float32)
    found = cause_of(want, other, precision=Precision.INT8)
    assert found not in {"integer_truncated", "integer_rounded"}


@pytest.mark.parametrize("row", [20, 21])
def test_one_sample_that_is_wrong_is_no_line_through_all(row: int) -> None:
    """A text that a runtime read otherwise was called an offset of 7e-10 of every value."""
    got = SCORES + np.float32(7e-10)
    got[row] = np.roll(SCORES[row], 1)
    assert cause_of(SCORES[:22], got[:22]) == UNKNOWN


def test_no_cause_is_taken_from_an_output_that_does_not_fail() -> None:
    """An int8 model that failed for its picture was told that its flat code was rounded to decimals."""
    flat = (0.5 + SCORES * np.float32(1e-3)).astype(np.float32)
    rounded = np.round(flat, 2)
    damaged = case({"code": flat, "scores": SCORES}, {64: {"code": rounded, "scores": SCORES + _noise()}})
    assert diagnosed_by_answers(damaged).cause == "rounded_decimals"
    assert diagnosed_by_answers(replace(damaged, failing=frozenset({"scores"}))).cause == UNKNOWN


def _noise() -> Array:
    return (np.random.default_rng(5).normal(size=SCORES.shape) * 0.05).astype(np.float32)


def test_the_classes_that_were_swapped_are_named() -> None:
    found = diagnosed_by_answers(case({"scores": SCORES}, {64: {"scores": SCORES[:, [0, 1, 2, 8, 4, 5, 6, 7, 3, 9]]}}))
    assert found.sentence == "`scores`: classes 3 and 8 are swapped"
    assert found.error_after == 0
    assert found.error_before is not None
    assert found.error_before > 0.1


def test_swapped_outputs_are_named() -> None:
    other = np.roll(SCORES, 3, axis=0)
    found = diagnosed_by_answers(case({"a": SCORES, "b": other}, {1: {"a": other, "b": SCORES}}))
    assert found.cause == "outputs_swapped"


def test_renamed_and_missing_outputs_are_told_apart() -> None:
    renamed = diagnosed_by_answers(case({"a": SCORES, "b": LOGITS}, {1: {"a": SCORES, "Identity_1": LOGITS}}))
    missing = diagnosed_by_answers(case({"a": SCORES, "b": LOGITS}, {1: {"a": SCORES}}))
    foreign = diagnosed_by_answers(case({"a": SCORES, "b": LOGITS}, {1: {"a": SCORES, "c": SCORES[::-1]}}))
    assert [found.cause for found in (renamed, missing, foreign)] == [
        "outputs_renamed",
        "output_missing",
        "other_signature",
    ]


def test_answers_of_an_older_training_are_known_again() -> None:
    older = softmax(LOGITS.astype(np.float64) + np.random.default_rng(3).normal(size=LOGITS.shape)).astype(np.float32)
    found = diagnosed_by_answers(
        case({"scores": SCORES}, {64: {"scores": older}}, earlier={"the training ab12": {"scores": older}})
    )
    assert found.cause == "stale_weights"
    assert "ab12" in found.sentence


def test_what_depends_on_the_batch_size_is_named() -> None:
    found = diagnosed_by_answers(
        case({"scores": SCORES}, {1: {"scores": SCORES}, 64: {"scores": _random.permuted(SCORES, axis=0)}})
    )
    assert found.cause == "batch_size_dependent"


def test_a_quantized_target_with_swapped_classes_is_named_in_spite_of_its_noise() -> None:
    noisy = np.rint(SCORES * 256)[:, [1, 0, *range(2, 10)]] / np.float32(256)
    assert cause_of(SCORES, noisy.astype(np.float32), precision=Precision.INT8) == "classes_permuted"


@pytest.mark.parametrize(
    "damaged",
    [
        softmax(np.random.default_rng(5).normal(size=LOGITS.shape) * 3),
        SCORES + np.random.default_rng(6).normal(size=SCORES.shape) * 0.01,
        softmax(LOGITS.astype(np.float64) * 1.3 + np.random.default_rng(7).normal(size=LOGITS.shape)),
        SCORES * np.random.default_rng(8).random((SAMPLES, 1)),
        np.rint(SCORES * 16) / 16,
    ],
    ids=["unrelated", "noise", "another training", "each sample its own scale", "coarsely quantized"],
)
def test_nothing_is_named_where_no_known_cause_fits(damaged: Array) -> None:
    found = diagnosed_by_answers(case({"scores": SCORES}, {64: {"scores": damaged.astype(np.float32)}}))
    assert found.cause == UNKNOWN
    assert found.tried > 10
