"""The samples that differ most, with both answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.parity.exact import comparable, scalar
from pipeline.parity.figures import Answer, WorstSample

ELEMENTS_SHOWN = 16


class WorstSamples:
    """The `keep` samples with the largest error against what is allowed; samples without any error are not kept."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._kept: list[tuple[float, int, NDArray[Any], NDArray[Any]]] = []
        self._samples = 0

    def add(self, used: NDArray[np.float64], want: NDArray[Any], got: NDArray[Any]) -> None:
        """Take blocks [samples, ...] and each sample's largest share of the tolerance, [samples]."""
        candidates = np.flatnonzero(used > 0)
        if candidates.size > self._keep:
            # Stable and descending, so that of equal samples the first stay, however the samples are split.
            candidates = candidates[np.argsort(-used[candidates], kind="stable")[: self._keep]]
        floor = self._kept[-1][0] if len(self._kept) == self._keep else 0.0
        for at in candidates[used[candidates] > floor]:
            self._kept.append(
                (float(used[at]), self._samples + int(at), want[at : at + 1].copy(), got[at : at + 1].copy())
            )
        self._kept.sort(key=lambda kept: (-kept[0], kept[1]))
        del self._kept[self._keep :]
        self._samples += len(want)

    def found(self) -> tuple[WorstSample, ...]:
        return tuple(
            WorstSample(
                sample=sample,
                tolerance_used=used,
                # Kept as one row, since an element of an array of text is no array.
                answers=_answers(want.reshape(want.shape[1:]), got.reshape(got.shape[1:])),
                complete=want.size <= ELEMENTS_SHOWN,
            )
            for used, sample, want, got in self._kept
        )


def _answers(want: NDArray[Any], got: NDArray[Any]) -> tuple[Answer, ...]:
    flat_want, flat_got = comparable(want).ravel(), comparable(got).ravel()
    places = [tuple(map(int, np.unravel_index(at, want.shape))) for at in _shown(flat_want, flat_got)]
    return tuple(Answer(place=place, want=scalar(want[place]), got=scalar(got[place])) for place in places)


def _shown(want: NDArray[Any], got: NDArray[Any]) -> list[int]:
    """The flat indices to show: all of a small answer, else the largest of both and those that differ most."""
    if want.size <= ELEMENTS_SHOWN:
        return list(range(want.size))
    if want.dtype.kind in "bO":
        return [int(at) for at in np.flatnonzero(want != got)[:ELEMENTS_SHOWN]]
    with np.errstate(invalid="ignore", over="ignore"):
        wanted, answered = want.astype(np.float64), got.astype(np.float64)
        orders = (np.abs(answered - wanted), wanted, answered)
        # NaN sorts last, which is first here: a place that is not finite is what one wants to see.
        ranked = [np.argsort(order, kind="stable")[::-1] for order in orders]
    shown: dict[int, None] = {}
    for rank in range(ELEMENTS_SHOWN):
        for order in ranked:
            if len(shown) < ELEMENTS_SHOWN:
                shown[int(order[rank])] = None
    return sorted(shown)
