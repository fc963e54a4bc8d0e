"""Causes in the order of an answer's elements: classes permuted, axes transposed or flipped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.diagnosis.case import Case
from pipeline.diagnosis.distance import distance
from pipeline.diagnosis.rule import Freedom, Trial

_MOST_CLASSES = 2000
_LISTED = 6


def permuted_classes(case: Case, output: str) -> Iterator[Trial]:
    """The last axis in another order, which is recovered from the even rows and put to the test on the odd ones."""
    want, got = case.want[output], case.got[output]
    if want.ndim < 2 or got.shape != want.shape or not 2 <= want.shape[-1] <= _MOST_CLASSES or want.dtype.kind != "f":
        return
    source = _recovered(want[::2].astype(np.float64), got[::2].astype(np.float64))
    if source is None or np.array_equal(source, np.arange(len(source))):
        return
    names = case.classes if output == case.scores_output and case.classes else tuple(map(str, range(len(source))))
    yield Trial(
        cause="classes_permuted",
        sentence=f"`{output}`: {_says(source, names)}",
        want={output: want[1::2]},
        got={output: got[1::2][..., source]},
        freedom=Freedom.MANY,
        # On the same rows: what is wrong with some of the even ones alone would else seem to be explained.
        before=distance(want[1::2], got[1::2]),
    )


def transposed_axes(case: Case, output: str) -> Iterator[Trial]:
    """The axes of one sample's answer in another order, with or without the shape saying so; and each axis flipped."""
    want, got = case.want[output], case.got[output]
    if want.ndim < 2 or got.ndim != want.ndim or got.size != want.size:
        return
    before = distance(want, got)
    axes = tuple(range(1, want.ndim))
    for order in itertools.permutations(axes) if len(axes) <= 4 else ():
        if order == axes:
            continue
        back = (0, *(1 + int(position) for position in np.argsort(order)))
        laid_out = tuple(want.shape[axis] for axis in (0, *order))
        yield Trial(
            cause="axes_transposed",
            sentence=f"`{output}`: the axes of a sample's answer are in the order {[axis - 1 for axis in order]}",
            want={output: want},
            got={output: got.reshape(laid_out).transpose(back)},
            freedom=Freedom.ONE_OF_FEW,
            before=before,
        )
    # Of a single axis that is a permutation of classes.
    if got.shape == want.shape and len(axes) > 1:
        for axis in axes:
            yield Trial(
                cause="axis_flipped",
                sentence=f"`{output}`: axis {axis - 1} of a sample's answer runs the other way",
                want={output: want},
                got={output: np.flip(got, axis)},
                freedom=Freedom.ONE_OF_FEW,
                before=before,
            )


def _recovered(want: NDArray[np.float64], got: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """For each class the column of `got` that carries it: the assignment with the least squared error."""
    from scipy.optimize import linear_sum_assignment

    want, got = want.reshape(-1, want.shape[-1]), got.reshape(-1, got.shape[-1])
    if not (np.isfinite(want).all() and np.isfinite(got).all()) or len(want) < 2:
        return None
    squares = (want**2).sum(0)[:, None] + (got**2).sum(0)[None, :] - 2 * want.T @ got
    _, source = linear_sum_assignment(squares)
    # A class that never scores looks like any other such class; it stays where it is if that is as good.
    return np.asarray(source, np.int64)


def _says(source: NDArray[np.int64], names: Sequence[str]) -> str:
    count = len(source)
    moved = [index for index in range(count) if source[index] != index]
    if len(moved) == 2:
        return f"classes {names[moved[0]]} and {names[moved[1]]} are swapped"
    for shift in range(1, count):
        if np.array_equal(source, (np.arange(count) + shift) % count):
            by = shift if shift <= count // 2 else shift - count
            return f"the classes are shifted by {by} places"
    if np.array_equal(source, np.arange(count)[::-1]):
        return "the classes are in reverse order"
    if np.array_equal(source, np.argsort(_places_by_text(count))):
        return "the classes are sorted as text, so that 10 comes before 2"
    listed = ", ".join(f"{names[index]} is at {source[index]}" for index in moved[:_LISTED])
    more = f" and {len(moved) - _LISTED} more" if len(moved) > _LISTED else ""
    return f"the classes are in another order: {listed}{more}"


def _places_by_text(count: int) -> list[int]:
    """The order of the classes when their numbers are sorted as text."""
    return sorted(range(count), key=str)
