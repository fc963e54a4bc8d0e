"""Class scores: whether the best class stays the same, and whether it is the right one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.model import predicted_classes
from pipeline.parity.figures import NO_CLASS, Flip, ScoreFigures
from pipeline.parity.findings import AccuracyDropped, Finding, Top1TooLow
from pipeline.parity.tolerances import Tolerance

NEAR_TIE = 0.01
"""A margin below this share of the range of the reference's scores decides nothing that a user would notice."""
FLIPS_LISTED = 20


class ScoresTally:
    """The answers of the output that scores classes, fed in blocks [samples, ..., classes]."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._samples = 0
        self._decisions = 0
        self._flips: list[Flip] = []
        self._near_ties = 0
        self._clear_flips = 0
        self._labelled = 0
        self._right = 0
        self._reference_right = 0

    def add(self, want: NDArray[Any], got: NDArray[Any], labels: NDArray[Any] | None) -> None:
        """Take a block; `labels` are the right classes [samples], for outputs [samples, classes]."""
        want_class, got_class = _best_classes(want), _best_classes(got)
        self._decisions += want_class.size
        for at in zip(*np.nonzero(want_class != got_class), strict=True):
            self._note(want[at], int(want_class[at]), int(got_class[at]), place=tuple(map(int, at)))
        if labels is not None:
            self._labelled += labels.size
            self._right += int(np.count_nonzero(got_class == labels))
            self._reference_right += int(np.count_nonzero(want_class == labels))
        self._samples += len(want)

    def figures(self) -> ScoreFigures:
        return ScoreFigures(
            decisions=self._decisions,
            clear_flips=self._clear_flips,
            near_ties=self._near_ties,
            flips=tuple(self._flips),
            accuracy=self._right / self._labelled if self._labelled else None,
            reference_accuracy=self._reference_right / self._labelled if self._labelled else None,
        )

    def findings(self, tolerance: Tolerance) -> tuple[Finding, ...]:
        found: list[Finding] = []
        figures = self.figures()
        agreement = 1 - figures.clear_flips / figures.decisions
        if tolerance.top1 is not None and not agreement >= tolerance.top1:
            found.append(
                Top1TooLow(
                    output=self._output,
                    clear_flips=figures.clear_flips,
                    near_ties=figures.near_ties,
                    decisions=figures.decisions,
                    floor=tolerance.top1,
                )
            )
        if tolerance.accuracy_drop is not None and figures.accuracy is not None:
            want, got = figures.reference_accuracy or 0.0, figures.accuracy
            # Counts, since a share times a share may round to just above the accuracy that it allows.
            if self._right < math.ceil(self._reference_right * (1 - tolerance.accuracy_drop) - 1e-9):
                found.append(
                    AccuracyDropped(output=self._output, want=want, got=got, allowed_drop=tolerance.accuracy_drop)
                )
        return tuple(found)

    def _note(self, scores: NDArray[Any], want: int, got: int, *, place: tuple[int, ...]) -> None:
        row = scores.astype(np.float64)
        # Among infinite scores a margin is NaN, and so no near tie.
        with np.errstate(invalid="ignore", over="ignore"):
            margin = math.nan if NO_CLASS in (want, got) else float(row[want] - row[got])
            near_tie = bool(margin <= NEAR_TIE * (row.max() - row.min()))
        self._near_ties += near_tie
        self._clear_flips += not near_tie
        at = (self._samples + place[0], *place[1:])
        self._flips.append(Flip(place=at, want=want, got=got, margin=margin, near_tie=near_tie))
        self._flips.sort(key=_clearest_first)
        del self._flips[FLIPS_LISTED:]


def _best_classes(scores: NDArray[Any]) -> NDArray[np.int64]:
    """The best class of each decision. NumPy takes a NaN for the highest score, which would make it an answer."""
    return np.where(np.isnan(scores).any(axis=-1), NO_CLASS, predicted_classes(scores))


def _clearest_first(flip: Flip) -> tuple[bool, float, tuple[int, ...]]:
    return flip.near_tie, -math.inf if math.isnan(flip.margin) else -flip.margin, flip.place
