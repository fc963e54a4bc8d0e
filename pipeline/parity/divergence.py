"""How far apart two distributions over classes are: Kullback-Leibler and Jensen-Shannon divergence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.parity.figures import Divergence

_SUM_MAY_MISS = 0.02
"""Int8 softmax has steps of 1/256, so that sums miss 1 by a little; scores that are no distribution miss it by far."""


class DivergenceTally:
    """Class scores of both sides, fed in blocks [decisions, classes]; 16 bytes a decision are kept."""

    def __init__(self) -> None:
        self._kl: list[NDArray[np.float64]] = []
        self._js: list[NDArray[np.float64]] = []
        self._decisions = 0
        self.not_taken: str | None = None
        """Why the scores are no distributions, or None."""

    def add(self, want: NDArray[Any], got: NDArray[Any]) -> None:
        """Take a block. From the first scores on that are no distribution, nothing more is counted."""
        if self.not_taken is not None or want.size == 0:
            return
        p, q = want.astype(np.float64), got.astype(np.float64)
        self.not_taken = _no_distributions(p, q)
        if self.not_taken is None:
            # A sum that misses 1 by rounding would make the divergence of equal shapes negative.
            kl, js = divergences(p / p.sum(axis=-1, keepdims=True), q / q.sum(axis=-1, keepdims=True))
            self._kl.append(kl)
            self._js.append(js)
            self._decisions += len(p)

    def figures(self) -> Divergence | None:
        """In nats over all decisions; None when the scores are no distributions."""
        if self.not_taken is not None or self._decisions == 0:
            return None
        kl, js = np.concatenate(self._kl), np.concatenate(self._js)
        finite = kl[np.isfinite(kl)]
        return Divergence(
            kl_mean=math.fsum(finite) / finite.size if finite.size else math.inf,
            kl_max=float(kl.max()),
            kl_infinite=int(kl.size - finite.size),
            js_mean=math.fsum(js) / js.size,
            js_max=float(js.max()),
            js_worst=int(np.argmax(js)),
        )


def divergences(p: NDArray[np.float64], q: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """KL(p || q) and JS(p, q) of each row, in nats; KL is infinite where q is 0 and p is not, JS at most ln 2.

    Kullback and Leibler (1951), Lin (1991).
    """
    middle = (p + q) / 2
    return _kl(p, q), (_kl(p, middle) + _kl(q, middle)) / 2


def _kl(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
        # p log(p/q) - p + q is never negative, term by term, so that sums of it do not cancel.
        terms = np.where(p > 0, p * np.log(ratio) - p + q, q)
    return np.asarray(np.maximum(terms.sum(axis=-1), 0.0))


def _no_distributions(p: NDArray[np.float64], q: NDArray[np.float64]) -> str | None:
    """What is wrong in the first row that has something wrong: later ones may come in another block."""
    odd = _is_odd(p) | _is_odd(q)
    if not odd.any():
        return None
    row = int(np.argmax(odd))
    whose, scores = ("the reference's", p[row]) if _is_odd(p[row : row + 1])[0] else ("the target's", q[row])
    if not np.isfinite(scores).all():
        return f"{whose} scores are not all finite"
    if scores.min() < 0:
        return f"{whose} scores go below 0 ({scores.min():.3g}), so they are no distributions"
    return f"{whose} scores add up to {scores.sum():.3g}, not 1, so they are no distributions"


def _is_odd(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore", over="ignore"):
        close = np.abs(scores.sum(axis=-1) - 1) <= _SUM_MAY_MISS
    return np.asarray(~close | (scores < 0).any(axis=-1))
