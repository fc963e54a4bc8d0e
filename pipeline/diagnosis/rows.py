"""Causes in which sample gets which answer: rows shifted, reversed, repeated; one answer for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.distance import spread
from pipeline.diagnosis.rule import Freedom, Trial

_MOST_SHIFT = 3
_HARDLY_VARIES = 1e-3


def misaligned(case: Case) -> Iterator[Trial]:
    """Whole answers in the places of other samples, in each batch or over all samples."""
    size = case.batch_size
    if not _rows_line_up(case):
        return
    count = len(next(iter(case.want.values())))
    before = max(case.distances_at(size).values())
    # A reference of which one row is repeated varies less, or not at all.
    varies = {name: spread(array) for name, array in case.want.items() if array.dtype.kind == "f"}
    if count > 2 * size:
        # What the first call gets, nobody can tell.
        yield Trial(
            cause="rows_shifted",
            sentence=f"at batch size {size} each call gets the answers of the call before it",
            want={name: array[:-size] for name, array in case.want.items()},
            got={name: case.got[name][size:] for name in case.want},
            freedom=Freedom.ONE_OF_FEW,
            before=before,
        )
    for (cause, sentence), rows in _orders(count, size).items():
        if not np.array_equal(rows, np.arange(count)):
            yield Trial(
                cause=cause,
                sentence=f"at batch size {size} {sentence}",
                want={name: array[rows] for name, array in case.want.items()},
                got=case.got,
                freedom=Freedom.ONE_OF_FEW,
                before=before,
                varies=varies,
            )


def ignoring_inputs(case: Case) -> Iterator[Trial]:
    """The same answer whatever is asked."""
    if not _rows_line_up(case):
        return
    constant = {
        name: np.broadcast_to(got.mean(axis=0, keepdims=True), got.shape)
        for name, got in case.got.items()
        if name in case.want and got.dtype.kind == "f"
    }
    if constant and all(_varies(case.want[name]) for name in constant):
        hardly = all(
            spread_over_samples(case.got[name]) <= _HARDLY_VARIES * spread(case.want[name]) for name in constant
        )
        if hardly:
            yield Trial(
                cause="input_ignored",
                sentence="the answer is the same whatever the input: an input is ignored, or a layer is dead",
                want=constant,
                got={name: case.got[name] for name in constant},
                freedom=Freedom.NONE,
                before=max(case.distances_at(case.batch_size).values()),
            )


def spread_over_samples(values: NDArray[np.float64]) -> float:
    """RMS deviation from the mean answer; 0 when all samples are answered alike."""
    deviation = values.astype(np.float64) - values.mean(axis=0, keepdims=True, dtype=np.float64)
    return float(np.sqrt(np.mean(np.square(deviation))))


def _varies(values: NDArray[np.float64]) -> bool:
    return values.dtype.kind == "f" and spread_over_samples(values) > 0


def _orders(count: int, size: int) -> Mapping[tuple[str, str], NDArray[np.int64]]:
    """For each sample, whose answer it gets."""
    rows = np.arange(count)
    start = rows // size * size
    length = np.minimum(start + size, count) - start
    inside = rows - start
    orders: dict[tuple[str, str], NDArray[np.int64]] = {
        ("rows_reversed", "the answers of each batch are in reverse order"): start + length - 1 - inside,
        ("rows_reversed", "all answers are in reverse order"): rows[::-1],
        ("rows_repeated", "every sample of a batch gets the answer of its first"): start,
        ("rows_repeated", "every sample gets the answer of the very first"): np.zeros_like(rows),
    }
    for shift in range(-_MOST_SHIFT, _MOST_SHIFT + 1):
        if shift:
            by = f"{abs(shift)} sample{'s' if abs(shift) > 1 else ''} {'on' if shift < 0 else 'back'}"
            orders["rows_shifted", f"the answers of each batch are {by}"] = start + (inside + shift) % length
            orders["rows_shifted", f"all answers are {by}"] = (rows + shift) % count
            orders["rows_shifted", f"all answers are {by}, and the ends repeat"] = np.clip(rows + shift, 0, count - 1)
    return orders


def _rows_line_up(case: Case) -> bool:
    return _fits(case.want, case.got)


def _fits(want: Tensors, got: Tensors) -> bool:
    return all(name in got and got[name].shape == array.shape for name, array in want.items())
