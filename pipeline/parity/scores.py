"""Class scores: whether the best class stays the same, and whether it is the right one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.model import predicted_classes
from pipeline.parity.divergence import DivergenceTally
from pipeline.parity.figures import NO_CLASS, Agreement, Flip, PairedAccuracy, ScoreFigures, TopK
from pipeline.parity.findings import AccuracyDropped, Finding, Top1TooLow
from pipeline.parity.intervals import mcnemar, paired_difference, paired_ratio, wilson
from pipeline.parity.tolerances import Tolerance

NEAR_TIE = 0.01
"""A margin below this share of the range of the reference's scores decides nothing that a user would notice."""
FLIPS_LISTED = 20
_MOST_K = 5


class ScoresTally:
    """The answers of the output that scores classes, fed in blocks [samples, ..., classes]."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._samples = 0
        self._decisions = 0
        self._flips: list[Flip] = []
        self._near_ties = 0
        self._clear_flips = 0
        self._divergence = DivergenceTally()
        self._k = 0
        self._in_top_k = 0
        self._labelled = 0
        self._both_right = self._only_reference = self._only_target = 0

    def add(self, want: NDArray[Any], got: NDArray[Any], labels: NDArray[Any] | None) -> None:
        """Take a block; `labels` are the right classes [samples], for outputs [samples, classes]."""
        want_class, got_class = _best_classes(want), _best_classes(got)
        self._decisions += want_class.size
        # With as many as all classes, everything would agree.
        self._k = min(_MOST_K, want.shape[-1] - 1)
        self._in_top_k += _among_best(got, want_class, self._k)
        self._divergence.add(want.reshape(-1, want.shape[-1]), got.reshape(-1, got.shape[-1]))
        for flip in every_flip(want, got, first_sample=self._samples):
            self._note(flip)
        if labels is not None:
            self._labelled += labels.size
            right, reference_right = got_class == labels, want_class == labels
            self._both_right += int(np.count_nonzero(right & reference_right))
            self._only_reference += int(np.count_nonzero(reference_right & ~right))
            self._only_target += int(np.count_nonzero(right & ~reference_right))
        self._samples += len(want)

    @property
    def _right(self) -> int:
        return self._both_right + self._only_target

    @property
    def _reference_right(self) -> int:
        return self._both_right + self._only_reference

    def figures(self) -> ScoreFigures:
        return ScoreFigures(
            decisions=self._decisions,
            clear_flips=self._clear_flips,
            near_ties=self._near_ties,
            flips=tuple(self._flips),
            top_1=_agreement(self._decisions - self._clear_flips - self._near_ties, self._decisions),
            top_k=TopK(k=self._k, agreement=_agreement(self._in_top_k, self._decisions)) if self._k > 1 else None,
            divergence=self._divergence.figures(),
            no_divergence=self._divergence.not_taken,
            accuracy=self._right / self._labelled if self._labelled else None,
            reference_accuracy=self._reference_right / self._labelled if self._labelled else None,
            paired=self._paired() if self._labelled else None,
        )

    def _paired(self) -> PairedAccuracy:
        lost, won = self._only_reference, self._only_target
        return PairedAccuracy(
            both_right=self._both_right,
            only_reference=lost,
            only_target=won,
            both_wrong=self._labelled - self._both_right - lost - won,
            difference=(won - lost) / self._labelled,
            difference_interval=paired_difference(lost, won, self._labelled),
            p_value=mcnemar(lost, won),
            kept=self._right / self._reference_right if self._reference_right else None,
            kept_interval=paired_ratio(self._both_right, lost, won) if self._reference_right else None,
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

    def _note(self, flip: Flip) -> None:
        self._near_ties += flip.near_tie
        self._clear_flips += not flip.near_tie
        self._flips.append(flip)
        self._flips.sort(key=_clearest_first)
        del self._flips[FLIPS_LISTED:]


def every_flip(want: NDArray[Any], got: NDArray[Any], *, first_sample: int = 0) -> Iterator[Flip]:
    """Each changed best class of scores [samples, ..., classes], in the order of the samples."""
    want_class, got_class = _best_classes(want), _best_classes(got)
    for at in zip(*np.nonzero(want_class != got_class), strict=True):
        row = want[at].astype(np.float64)
        one, other = int(want_class[at]), int(got_class[at])
        # Among infinite scores a margin is NaN, and so no near tie.
        with np.errstate(invalid="ignore", over="ignore"):
            margin = math.nan if NO_CLASS in (one, other) else float(row[one] - row[other])
            near_tie = bool(margin <= NEAR_TIE * (row.max() - row.min()))
        place = (first_sample + int(at[0]), *map(int, at[1:]))
        yield Flip(place=place, want=one, got=other, margin=margin, near_tie=near_tie)


def _agreement(agreed: int, of: int) -> Agreement:
    return Agreement(agreed=agreed, of=of, interval=wilson(agreed, of))


def _among_best(scores: NDArray[Any], classes: NDArray[np.int64], k: int) -> int:
    """In how many rows of `scores` the given class is one of the `k` best, the lower class first when scores tie."""
    flat, wanted = scores.reshape(-1, scores.shape[-1]), classes.reshape(-1)
    own = flat[np.arange(len(flat)), np.maximum(wanted, 0)][:, np.newaxis]
    lower = np.arange(flat.shape[1]) < wanted[:, np.newaxis]
    above = np.count_nonzero((flat > own) | ((flat == own) & lower), axis=1)
    # No class is best where the reference has a NaN, and none is found where the target has one.
    return int(np.count_nonzero((above < k) & (wanted != NO_CLASS) & ~np.isnan(flat).any(axis=1)))


def _best_classes(scores: NDArray[Any]) -> NDArray[np.int64]:
    """The best class of each decision. NumPy takes a NaN for the highest score, which would make it an answer."""
    return np.where(np.isnan(scores).any(axis=-1), NO_CLASS, predicted_classes(scores))


def _clearest_first(flip: Flip) -> tuple[bool, float, tuple[int, ...]]:
    return flip.near_tie, -math.inf if math.isnan(flip.margin) else -flip.margin, flip.place
