"""What a diagnosis starts from: the answers of one target beside the reference's, and what is known around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors
from pipeline.diagnosis.distance import allowed_distance, distances, spread
from pipeline.parity.findings import Finding
from pipeline.parity.tolerances import Tolerance

_EPSILON = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One recording that failed.

    `answers` has an entry a batch size, each with one row a sample, and at least one of them; `want` is the
    reference's. `earlier` holds the answers of other trainings to the same inputs, by what they are called.
    `classes` name the last axis of `scores_output`. `repeats` is what asking again has found. `failing` are the outputs
    that the verdict finds fault with, none where that is not known.
    """

    inputs: Tensors
    want: Tensors
    answers: Mapping[int, Tensors]
    tolerances: Mapping[str, Tolerance]
    scores_output: str | None = None
    classes: tuple[str, ...] = ()
    earlier: Mapping[str, Tensors] = field(default_factory=dict)
    repeats: tuple[Finding, ...] = ()
    failing: frozenset[str] = frozenset()

    @cached_property
    def batch_size(self) -> int:
        """The largest of those at which the answers are worst: experiments are made there."""
        return max(self.answers, key=lambda size: (max(self.distances_at(size).values()), size))

    @cached_property
    def got(self) -> Tensors:
        """The answers at `batch_size`."""
        return self.answers[self.batch_size]

    @cached_property
    def allowed(self) -> Mapping[str, float]:
        """By output: the distance at which its tolerance would just pass."""
        return {name: allowed_distance(array, self.tolerances[name]) for name, array in self.want.items()}

    @cached_property
    def differing(self) -> tuple[str, ...]:
        """The outputs that are further off than allowed, the worst first; all that fail when none is.

        One that hardly varies may seem far off by its own variation, and is none of those that the verdict names.
        """
        every = self.distances_at(self.batch_size)
        found = {name: distance for name, distance in every.items() if name in self.failing} or every
        beyond = [name for name in found if found[name] > self.allowed[name]]
        return tuple(sorted(beyond or found, key=lambda name: -found[name]))

    def first(self, rows: int) -> Case:
        """The same case with at most so many samples."""
        return replace(
            self,
            inputs=_first(self.inputs, rows),
            want=_first(self.want, rows),
            answers={size: _first(answers, rows) for size, answers in self.answers.items()},
            earlier={called: _first(answers, rows) for called, answers in self.earlier.items()},
        )

    def distances_at(self, batch_size: int) -> dict[str, float]:
        return distances(self.want, self.answers[batch_size])

    def right_rows(self, batch_size: int) -> NDArray[np.bool_]:
        """Of each sample: whether its answers at this batch size are as near as allowed; none when shapes differ."""
        count = len(next(iter(self.want.values())))
        right = np.ones(count, np.bool_)
        for name, want in self.want.items():
            got = self.answers[batch_size].get(name)
            if got is None or got.shape != want.shape or want.dtype.kind in "OSU":
                return np.zeros(count, np.bool_)
            # Rows are judged on their own, where errors gather more than in the whole.
            allowed = max(self.allowed[name], _EPSILON) * 4 * spread(want)
            right &= np.nan_to_num(_row_errors(want, got), nan=np.inf) <= allowed
        return right


def _first(tensors: Tensors, rows: int) -> Tensors:
    return {name: array[:rows] for name, array in tensors.items()}


def _row_errors(want: NDArray[Any], got: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", over="ignore"):
        squares = np.square(want.astype(np.float64) - got.astype(np.float64)).reshape(len(want), -1)
    squares = np.where((want == got).reshape(len(want), -1), 0, squares)
    return np.asarray(np.sqrt(squares.mean(axis=1)), np.float64)
