"""How far a share, a difference or a ratio that was counted on some samples can be trusted: intervals of 95 %."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.parity.values import Value

_Z = 1.959963984540054
"""Of 95 %: the normal distribution's 97.5 % quantile."""
_RESAMPLES = 1000
_MOST_DRAWS = 20_000_000


class Interval(Value, frozen=True):
    """From `low` to `high`, meant to hold the true value in 95 of 100 cases."""

    low: float
    high: float


def wilson(successes: int, of: int) -> Interval:
    """Of a share, by Wilson's score method (1927): also right near 0 and 1, where the textbook one has no width.

    Raises ValueError when `of` is not at least 1.
    """
    if of < 1:
        raise ValueError(f"no share can be taken of {of}")
    return _wilson(successes, of, _Z)


def paired_difference(only_first: int, only_second: int, of: int) -> Interval:
    """Of the share that the second has right less the first's, both asked the same `of` samples.

    Only samples on which the two differ count. Agresti and Min's (2005) Wald interval with half a sample added to each
    of the four cells.
    """
    first, second, total = only_first + 0.5, only_second + 0.5, of + 2
    difference = (second - first) / total
    spread = _Z * math.sqrt(first + second - (second - first) ** 2 / total) / total
    return Interval(low=max(-1.0, difference - spread), high=min(1.0, difference + spread))


def paired_ratio(both: int, only_first: int, only_second: int) -> Interval | None:
    """Of the second's share of right answers by the first's, by Bonett and Price's (2006) paired score method.

    None when neither was ever right.
    """
    seen = both + only_first + only_second
    if seen == 0:
        return None
    first, second = both + only_first, both + only_second
    share_first, share_second = (first + 1) / (seen + 2), (second + 1) / (seen + 2)
    together = math.sqrt((only_first + only_second + 2) / ((first + 1) * (second + 1)))
    apart = math.sqrt((1 - share_first) / (first + 1)) + math.sqrt((1 - share_second) / (second + 1))
    z = _Z * together / apart
    one, two = _wilson(first, seen, z), _wilson(second, seen, z)
    return Interval(low=two.low / one.high, high=two.high / one.low if one.low > 0 else math.inf)


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test: how likely a split at least as uneven is, were both equally good (two-sided p-value).

    Each sample that one side alone has right is the toss of a fair coin. Exact in integers.
    """
    tosses, fewer = only_first + only_second, min(only_first, only_second)
    tail, ways = 0, 1
    for heads in range(fewer + 1):
        tail += ways
        ways = ways * (tosses - heads) // (heads + 1)
    return min(1.0, 2 * tail / (1 << tosses))


def paired_bootstrap(differences: NDArray[np.float64], *, seed: int = 0) -> Interval:
    """Of the mean of paired differences [samples], at least one: the percentiles of the means of 1,000 resamples.

    Fewer, but at least 200, above 20,000 samples. The same seed gives the same interval.
    """
    rng = np.random.default_rng(seed)
    count = differences.size
    resamples = min(_RESAMPLES, max(200, _MOST_DRAWS // count))
    means = [float(differences[rng.integers(0, count, count)].mean()) for _ in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(low=float(low), high=float(high))


def _wilson(successes: int, of: int, z: float) -> Interval:
    centre = (successes + z * z / 2) / (of + z * z)
    spread = z / (of + z * z) * math.sqrt(successes * (of - successes) / of + z * z / 4)
    # Rounding must not take the ends of the scale away from what is there.
    low = 0.0 if successes == 0 else max(0.0, centre - spread)
    high = 1.0 if successes == of else min(1.0, centre + spread)
    return Interval(low=low, high=high)
