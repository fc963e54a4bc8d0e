"""Causes in the values of an output: an activation too many or too few, scale and offset, saturation, lost digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.diagnosis.case import Case
from pipeline.diagnosis.distance import distance
from pipeline.diagnosis.rule import Freedom, Trial

Floats = NDArray[np.float64]

_SMALLEST_SATURATED_SHARE = 0.005
_ROUNDING_ERROR_BELOW = 0.05
_QUANTIZED_LEVELS = 256


def trials(case: Case, output: str) -> Iterator[Trial]:
    """Every cause of this kind for one output of floats whose shape is right."""
    want, got = case.want[output], case.got[output]
    if want.dtype.kind != "f" or got.shape != want.shape or got.dtype.kind not in "fiu":
        return
    before = distance(want, got)
    for cause, sentence, wanted, answered in _transformed(want.astype(np.float64), got.astype(np.float64)):
        yield Trial(
            cause=cause,
            sentence=f"`{output}`: {sentence}",
            want={output: wanted},
            got={output: answered},
            before=before,
        )
    yield from _lines(output, want, got)
    yield from _saturated(output, want, got, before)
    yield from _rounded(output, want, got, before)


def softmax(values: Floats) -> Floats:
    """Over the last axis."""
    shifted = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -500, 500))))


def fitted_line(want: NDArray[Any], got: NDArray[Any]) -> tuple[float, float, float]:
    """Scale, offset and distance of `got = scale x want + offset`: fitted on even rows, judged on odd ones.

    A scale of 0 means that nothing was to be fitted.
    """
    want, got = want.astype(np.float64), got.astype(np.float64)
    x, y = want[::2].ravel(), got[::2].ravel()
    usable = np.isfinite(x) & np.isfinite(y)
    if len(want) < 4 or usable.sum() < 4 or np.ptp(x[usable]) == 0:
        return 0.0, 0.0, np.inf
    x, y = x[usable], y[usable]
    scale = float(np.cov(x, y, bias=True)[0, 1] / np.var(x))
    offset = float(y.mean() - scale * x.mean())
    return scale, offset, distance(scale * want[1::2] + offset, got[1::2])


def _transformed(want: Floats, got: Floats) -> Iterator[tuple[str, str, Floats, Floats]]:
    """Causes without a number in them: what it is, in words, and the two that would then be equal."""
    with np.errstate(all="ignore"):
        # Before the softmax, which would undo a logarithm, too.
        yield "log_of_answers", "these are logarithms of the reference's values", want, np.exp(got)
        if want.ndim > 1 and want.shape[-1] > 1:
            yield "softmax_missing", "the softmax at the end is missing", want, softmax(got)
            yield "softmax_doubled", "a softmax is applied once more than in the trained model", softmax(want), got
        yield "sigmoid_missing", "the sigmoid at the end is missing", want, sigmoid(got)
        yield "sigmoid_doubled", "a sigmoid is applied once more than in the trained model", sigmoid(want), got
        yield "exp_of_answers", "these are exponentials of the reference's values", np.exp(want), got
        yield "sign_flipped", "every value has the other sign", -want, got
        yield "complement", "every value is one minus the reference's", 1 - want, got
        yield "relu_added", "negative values are cut off at 0", np.maximum(want, 0), got
        yield "tanh_added", "a tanh is applied once more than in the trained model", np.tanh(want), got


def _lines(output: str, want: NDArray[Any], got: NDArray[Any]) -> Iterator[Trial]:
    scale, offset, _ = fitted_line(want, got)
    if scale == 0:
        return
    x, y = want[::2].astype(np.float64), got[::2].astype(np.float64)
    only_scale = float(np.sum(x * y) / max(float(np.sum(x * x)), np.finfo(np.float64).tiny))
    only_offset = float(np.mean(y - x))
    odd_want, odd_got = want[1::2].astype(np.float64), got[1::2].astype(np.float64)
    found = {
        "output_scaled": (f"every value is {only_scale:.4g} times the reference's", only_scale * odd_want),
        "output_offset": (f"every value is off by {only_offset:+.4g}", odd_want + only_offset),
        "output_affine": (
            f"every value is {scale:.4g} times the reference's, and {offset:+.4g}",
            scale * odd_want + offset,
        ),
    }
    # On the rows that the line was not fitted to, too: one row that is wrong would else seem to be explained.
    before = distance(odd_want, odd_got)
    for cause, (sentence, expected) in found.items():
        # Against the reference's own spread: a small scale would make any error look small.
        yield Trial(
            cause=cause,
            sentence=f"`{output}`: {sentence}",
            want={output: expected},
            got={output: odd_got},
            freedom=Freedom.MANY if cause == "output_affine" else Freedom.FITTED,
            before=before,
        )


def _saturated(output: str, want: NDArray[Any], got: NDArray[Any], before: float) -> Iterator[Trial]:
    finite = got[np.isfinite(got)]
    if finite.size == 0:
        return
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return
    ends: Mapping[str, tuple[float, float, NDArray[np.bool_]]] = {
        f"above {high:.4g}": (-np.inf, high, want > high),
        f"below {low:.4g}": (low, np.inf, want < low),
        f"outside {low:.4g} to {high:.4g}": (low, high, (want > high) | (want < low)),
    }
    for where, (floor, ceiling, cut) in ends.items():
        if np.mean(cut) >= _SMALLEST_SATURATED_SHARE:
            yield Trial(
                cause="output_saturated",
                sentence=f"`{output}`: values {where} are cut off ({np.mean(cut):.0%} of them): the range is too small",
                want={output: np.clip(want, floor, ceiling)},
                got={output: got},
                freedom=Freedom.ONE_OF_FEW,
                before=before,
            )


def _rounded(output: str, want: NDArray[Any], got: NDArray[Any], before: float) -> Iterator[Trial]:
    kinds: Mapping[str, tuple[str, str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
        "float16": ("precision_float16", "11 significant bits", _as_float16),
        "bfloat16": ("precision_bfloat16", "8 significant bits", _as_bfloat16),
    }
    for name, (cause, bits, rounded) in kinds.items():
        # What was computed in fewer bits throughout is off by more than a rounding, but holds such numbers only.
        # Quantized answers have few levels, which any type may hold.
        few_levels = len(np.unique(got)) <= _QUANTIZED_LEVELS
        if before < _ROUNDING_ERROR_BELOW and not few_levels and distance(want, rounded(want)) > 0:
            yield Trial(
                cause=cause,
                sentence=f"`{output}`: every value is a {name} number ({bits}): the target computes or passes {name}",
                want={output: rounded(got)},
                got={output: got},
                freedom=Freedom.NONE,
                before=before,
            )
    for decimals in range(1, 7):
        yield Trial(
            cause="rounded_decimals",
            sentence=f"`{output}`: every value is rounded to {decimals} decimals, as text often is",
            want={output: np.round(want.astype(np.float64), decimals)},
            got={output: got},
            freedom=Freedom.ONE_OF_FEW,
            before=before,
        )
    for cause, sentence, expected in (
        ("integer_truncated", "the fraction of every value is cut off", np.trunc(want)),
        ("integer_rounded", "every value is rounded to a whole number", np.rint(want)),
    ):
        # Answers that are none themselves would be near the whole numbers of others as well: scores are all near 0.
        if not np.array_equal(got, np.rint(got)):
            continue
        yield Trial(
            cause=cause, sentence=f"`{output}`: {sentence}", want={output: expected}, got={output: got}, before=before
        )


def _as_float16(values: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float64)


def _as_bfloat16(values: NDArray[Any]) -> NDArray[Any]:
    """Rounded to the nearest of 8 significant bits, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.astype(np.uint32).view(np.float32).astype(np.float64)
