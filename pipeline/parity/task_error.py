"""The task's own error of an output that is to meet given values: how much worse the target is at it than the model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.parity.figures import TaskError
from pipeline.parity.intervals import paired_bootstrap

METRIC = "mean absolute error"


class TaskErrorTally:
    """Both sides' answers and what they are to be, fed in blocks [samples, ...]; 16 bytes a sample are kept."""

    def __init__(self) -> None:
        self._reference: list[NDArray[np.float64]] = []
        self._target: list[NDArray[np.float64]] = []

    def add(self, want: NDArray[Any], got: NDArray[Any], targets: NDArray[Any]) -> None:
        self._reference.append(_errors(want, targets))
        self._target.append(_errors(got, targets))

    def figures(self) -> TaskError | None:
        """None when nothing was fed, or a side is not finite somewhere and so has no mean."""
        if not self._reference:
            return None
        reference, target = np.concatenate(self._reference), np.concatenate(self._target)
        if not (np.isfinite(reference).all() and np.isfinite(target).all()):
            return None
        return TaskError(
            metric=METRIC,
            reference=math.fsum(reference) / reference.size,
            target=math.fsum(target) / target.size,
            difference=math.fsum(target - reference) / reference.size,
            difference_interval=paired_bootstrap(target - reference),
        )


def _errors(answers: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
    """Each sample's mean absolute distance from what it is to be."""
    with np.errstate(invalid="ignore", over="ignore"):
        distances = np.abs(answers.astype(np.float64) - targets.astype(np.float64))
    return np.asarray(distances.reshape(len(answers), -1).mean(axis=1))
