"""What is measured of one output's answers, kept whether or not they agree."""

from __future__ import annotations

from typing import TypeAlias

from pipeline.parity.intervals import Interval
from pipeline.parity.values import Kind, Place, Scalar, Value


class Histogram(Value, frozen=True):
    """How often each size of absolute error occurred.

    Bin i counts errors from 10^(first_exponent + i / per_decade) up to the next edge; `zeros` were exactly equal.
    """

    first_exponent: float
    per_decade: int
    counts: tuple[int, ...]
    zeros: int


class ErrorQuantile(Value, frozen=True):
    """At least `share` of all absolute errors are at most `error`, which may be up to 1.6 % too high, never too low."""

    share: float
    error: float


class UlpFigures(Value, frozen=True):
    """Distances in steps of the output's own float type (units in the last place), of values on one side of zero.

    `octaves[i]` counts distances from 2^i up to 2^(i+1); `same_bits` are equal, 0 and -0 among them. `sign_crossings`
    are pairs on different sides of zero, which are in none of the other figures.
    """

    dtype: str
    largest: int
    quantiles: tuple[ErrorQuantile, ...]
    same_bits: int
    octaves: tuple[int, ...]
    sign_crossings: int


class WorstPlace(Value, frozen=True):
    """Where the error is largest against what is allowed there."""

    place: Place
    want: float
    got: float


class Answer(Value, frozen=True):
    """One element of a sample's answer. `place` is its index within the sample."""

    place: Place
    want: Scalar
    got: Scalar


class WorstSample(Value, frozen=True):
    """One of the samples that differ most. `answers` has all elements of a small output, else those that matter most.

    `tolerance_used` is the sample's largest error, 1 being just what is allowed.
    """

    sample: int
    tolerance_used: float
    answers: tuple[Answer, ...]
    complete: bool


NO_CLASS = -1
"""The best class of scores among which there is a NaN."""


class Flip(Value, frozen=True):
    """A best class that changed, `NO_CLASS` standing for none.

    `margin` is how far the reference's best score was above that of the class now best. `near_tie` means that it is
    below 1 % of the range of the reference's scores.
    """

    place: Place
    want: int
    got: int
    margin: float
    near_tie: bool


class Agreement(Value, frozen=True):
    """How many of the decisions agree, with Wilson's interval for the share."""

    agreed: int
    of: int
    interval: Interval


class TopK(Value, frozen=True):
    """The reference's best class is among the `k` best of the target."""

    k: int
    agreement: Agreement


class Divergence(Value, frozen=True):
    """Of two distributions over classes, in nats, the reference's first.

    `kl_infinite` decisions have a class that the target gives no chance at all and the reference some; they are left
    out of `kl_mean`. `js_worst` counts decisions.
    """

    kl_mean: float
    kl_max: float
    kl_infinite: int
    js_mean: float
    js_max: float
    js_worst: int


class PairedAccuracy(Value, frozen=True):
    """Right answers of the reference and the target to the same labelled samples.

    `difference` is the target's accuracy less the reference's. `p_value` is McNemar's, exact. `kept` is the target's
    accuracy by the reference's, of which MLPerf Inference asks 0.99; None when the reference is never right.
    """

    both_right: int
    only_reference: int
    only_target: int
    both_wrong: int
    difference: float
    difference_interval: Interval
    p_value: float
    kept: float | None
    kept_interval: Interval | None


class TaskError(Value, frozen=True):
    """The task's own error, of outputs that are to meet given values: the mean absolute distance from those.

    `difference` is the target's less the reference's, with a paired bootstrap interval over samples.
    """

    metric: str
    reference: float
    target: float
    difference: float
    difference_interval: Interval


class ScoreFigures(Value, frozen=True):
    """Of an output that scores classes. `flips` lists the clearest of them.

    `top_k` is None with fewer than three classes, `divergence` when the scores are no distributions, which
    `no_divergence` explains; accuracies and `paired` are None without labels.
    """

    decisions: int
    clear_flips: int
    near_ties: int
    flips: tuple[Flip, ...]
    top_1: Agreement
    top_k: TopK | None
    divergence: Divergence | None
    no_divergence: str | None
    accuracy: float | None
    reference_accuracy: float | None
    paired: PairedAccuracy | None

    @property
    def top1_agreement(self) -> float:
        """The share of decisions with the same best class, near ties counted as changed."""
        return 1 - (self.clear_flips + self.near_ties) / self.decisions


class NumericFigures(Kind, frozen=True, tag="numeric"):
    """Of float values, computed in float64 over the `compared` elements that are finite on both sides.

    `sqnr_db` is infinite when all are equal. `cosine` is None when the reference's RMS is not above atol, where any
    direction would do. `max_relative_error` and `relative_quantiles` leave out places where the reference is 0. `ulps`
    is None for a dtype that has no such steps. `tolerance_used` is the largest error against what is allowed in its
    place: 1 just passes. `smallest_atol` would have passed with the rtol as it is,
    `smallest_rtol` with the atol as it is. `variation` is the RMS, over elements, of the reference's standard deviation
    over the samples: what the differences are to be held against.
    """

    elements: int
    compared: int
    non_finite_alike: int
    max_error: float
    mean_error: float
    rmse: float
    quantiles: tuple[ErrorQuantile, ...]
    max_relative_error: float
    relative_quantiles: tuple[ErrorQuantile, ...]
    ulps: UlpFigures | None
    sqnr_db: float
    cosine: float | None
    mismatches: int
    worst: WorstPlace | None
    tolerance_used: float
    smallest_atol: float
    smallest_rtol: float
    histogram: Histogram
    variation: float


class ExactFigures(Kind, frozen=True, tag="exact"):
    """Of integers, booleans and text, which must be equal. `varies`: whether the reference's samples differ at all."""

    elements: int
    mismatches: int
    varies: bool


Figures: TypeAlias = NumericFigures | ExactFigures
