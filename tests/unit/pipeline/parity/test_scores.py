"""The best class, near ties and accuracy of outputs that score classes."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from pipeline.parity.comparison import OutputComparison
from pipeline.parity.figures import Agreement, Flip, PairedAccuracy, ScoreFigures
from pipeline.parity.findings import AccuracyDropped, Top1TooLow
from pipeline.parity.intervals import mcnemar, paired_difference, paired_ratio, wilson
from pipeline.parity.scores import every_flip
from pipeline.parity.tolerances import Tolerance

Compared = Callable[..., OutputComparison]

WANT = np.array([[0.9, 0.06, 0.04], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5], [0.401, 0.4, 0.199]])
LABELS = np.array([0, 1, 2, 0])


@pytest.fixture
def loose(tolerance: Tolerance) -> Tolerance:
    """Every value passes, so that only decisions count."""
    return msgspec.structs.replace(tolerance, atol=10.0, constant=True)


def scores_of(comparison: OutputComparison) -> ScoreFigures:
    assert comparison.scores is not None
    return comparison.scores


def test_every_flip_is_listed_with_its_margin_and_near_ties_apart(compared: Compared, loose: Tolerance) -> None:
    """Otherwise a flip on a coin toss would weigh as much as a wrong answer."""
    got = WANT.copy()
    got[2] = (0.6, 0.2, 0.2)
    got[3] = (0.4, 0.401, 0.199)
    comparison = compared(WANT, got, labels=LABELS, scores=True, within=loose)
    figures = scores_of(comparison)
    assert (figures.decisions, figures.clear_flips, figures.near_ties, figures.top1_agreement) == (4, 1, 1, 0.5)
    assert figures.flips == (
        Flip(place=(2,), want=2, got=0, margin=0.5 - 0.2, near_tie=False),
        Flip(place=(3,), want=0, got=1, margin=0.401 - 0.4, near_tie=True),
    )
    assert [finding.sentence for finding in comparison.findings] == [
        (
            "scores: the best class changed in 1 of 4 decisions (agreement 75.00 %, at least 100.00 % asked; "
            "1 near ties not counted)"
        ),
        "scores: accuracy 50.00 %, at least 100.00 % asked (the reference's 100.00 %, of which 0.00 % may be lost)",
    ]


def test_the_clearest_flips_come_first_and_those_of_no_class_before_them(compared: Compared, loose: Tolerance) -> None:
    """Otherwise the twenty that are listed would be those that matter least."""
    want = np.array([[0.5, 0.4, 0.1], [0.8, 0.1, 0.1], [0.6, 0.3, 0.1]])
    got = want[:, [1, 0, 2]]
    got[2, 1] = np.nan
    flips = scores_of(compared(want, got, scores=True, within=loose)).flips
    assert [flip.place for flip in flips] == [(2,), (1,), (0,)]


@pytest.mark.parametrize(("scores", "near"), [((100.0, 99.0, 0.0), True), ((3.0, 2.97, 1.0), False)])
def test_a_near_tie_is_a_hundredth_of_the_range_at_most(scores: tuple[float, ...], *, near: bool) -> None:
    """Otherwise scores far from 0 would have every flip excused."""
    want = np.array([scores])
    (flip,) = every_flip(want, want[:, [1, 0, 2]])
    assert (flip.place, flip.near_tie) == ((0,), near)


def test_as_many_flips_may_be_as_the_tolerance_says(compared: Compared, loose: Tolerance) -> None:
    """Otherwise a bound on decisions would hold all or nothing; and where no accuracy is asked for, none is judged."""
    got = WANT.copy()
    got[2] = (0.6, 0.2, 0.2)
    within = msgspec.structs.replace(loose, top1=0.75, accuracy_drop=None)
    passing = compared(WANT, got, labels=LABELS, scores=True, within=within)
    assert (passing.samples, passing.findings) == (4, ())
    failing = compared(WANT, got, scores=True, within=msgspec.structs.replace(within, top1=0.76))
    assert [type(one) for one in failing.findings] == [Top1TooLow]
    # A gate that noticed something is not called loose.
    assert (passing.loose is None, failing.loose is None) == (False, True)


def test_a_near_tie_alone_does_not_fail_top1(compared: Compared, loose: Tolerance) -> None:
    """Otherwise float32 rounding could fail the strictest lane."""
    got = WANT.copy()
    got[3] = (0.4, 0.401, 0.199)
    assert compared(WANT, got, scores=True, within=loose).findings == ()


def test_accuracy_may_drop_by_what_is_allowed_and_no_sample_more(compared: Compared, loose: Tolerance) -> None:
    """Otherwise the promise to keep 99 % would mean something else at the edge."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 200)
    want = np.eye(5)[labels] + rng.normal(0, 0.01, (200, 5))
    within = msgspec.structs.replace(loose, top1=None, accuracy_drop=0.01)

    def findings(wrong: int) -> list[type]:
        got = want.copy()
        got[:wrong] = np.roll(got[:wrong], 1, axis=1)
        comparison = compared(want, got, labels=labels, scores=True, within=within)
        assert scores_of(comparison).accuracy == (200 - wrong) / 200
        return [type(finding) for finding in comparison.findings]

    assert findings(2) == []
    assert findings(3) == [AccuracyDropped]


def test_a_target_may_be_better_than_the_reference(compared: Compared, loose: Tolerance) -> None:
    """Otherwise being right where the reference is wrong would cost accuracy."""
    wrong = WANT[:, [1, 0, 2]]
    within = msgspec.structs.replace(loose, top1=None)
    comparison = compared(wrong, WANT, labels=LABELS, scores=True, within=within)
    assert comparison.findings == ()
    assert (scores_of(comparison).accuracy, scores_of(comparison).reference_accuracy) == (1.0, 0.25)


def test_without_labels_there_is_no_accuracy(compared: Compared) -> None:
    """Otherwise a made-up accuracy would stand in the report."""
    figures = scores_of(compared(WANT, WANT, scores=True))
    assert (figures.accuracy, figures.reference_accuracy) == (None, None)


def test_scores_of_every_pixel_are_decisions_of_their_own(compared: Compared, loose: Tolerance) -> None:
    """Otherwise a segmentation model would have no decisions to compare."""
    want = np.random.default_rng(0).random((3, 4, 4, 5))
    got = want.copy()
    got[1, 2, 3] = -got[1, 2, 3]
    comparison = compared(want, got, scores=True, within=loose)
    figures = scores_of(comparison)
    assert (figures.decisions, figures.clear_flips) == (48, 1)
    assert figures.top_1 == Agreement(agreed=47, of=48, interval=wilson(47, 48))
    assert figures.top_k is not None
    assert figures.top_k.k == 4
    assert figures.flips[0].place == (1, 2, 3)
    assert isinstance(comparison.findings[0], Top1TooLow)


def test_an_output_with_one_score_has_no_best_class(compared: Compared) -> None:
    """Otherwise a sigmoid output would always agree perfectly."""
    assert compared(WANT[:, :1], WANT[:, :1], scores=True).scores is None


def test_a_nan_among_the_scores_is_no_best_class(compared: Compared, loose: Tolerance) -> None:
    """Otherwise a NaN in just the right place would count as a right answer."""
    got = WANT.copy()
    got[0, 0] = np.nan
    figures = scores_of(compared(WANT, got, labels=LABELS, scores=True, within=loose))
    assert (figures.clear_flips, figures.accuracy, figures.flips[0].got) == (1, 0.75, -1)
    assert math.isnan(figures.flips[0].margin)


def test_top_k_asks_whether_the_best_class_is_still_among_the_best(compared: Compared, loose: Tolerance) -> None:
    """Otherwise a class that falls to second place would look like one that is gone."""
    want, got = np.eye(8)[:4], np.eye(8)[:4]
    got[1] = np.linspace(1, 0.3, 8)
    got[2] = np.arange(8) - 2.0
    got[3] = np.nan
    top_k = scores_of(compared(want, got, scores=True, within=loose)).top_k
    assert top_k is not None
    # Class 1 is second now; class 2 is sixth; a NaN is no answer.
    assert (top_k.k, top_k.agreement.agreed, top_k.agreement.of) == (5, 2, 4)


@pytest.mark.parametrize(("got", "agreed"), [((0.9, 0.0, 0.05), 1), ((0.0, 0.9, 0.05), 0)])
def test_the_first_class_is_looked_for_among_the_best_as_well(
    compared: Compared, loose: Tolerance, got: tuple[float, ...], agreed: int
) -> None:
    """Otherwise the rank of the second class would be told as that of the first."""
    top_k = scores_of(compared(np.array([[0.9, 0.06, 0.04]]), np.array([got]), scores=True, within=loose)).top_k
    assert top_k is not None
    assert top_k.agreement == Agreement(agreed=agreed, of=1, interval=wilson(agreed, 1))


def test_of_equal_scores_the_lower_class_counts_as_the_better_one(compared: Compared, loose: Tolerance) -> None:
    """Otherwise top-1 and top-k would break ties in different ways."""
    want, got = np.array([[0, 1.0, 0], [0, 0, 1.0]]), np.zeros((2, 3))
    top_k = scores_of(compared(want, got, scores=True, within=loose)).top_k
    assert top_k is not None
    assert (top_k.k, top_k.agreement.agreed) == (2, 1)


def test_with_labels_both_sides_are_held_against_each_other_sample_by_sample(
    compared: Compared, loose: Tolerance
) -> None:
    """Otherwise ten lost and ten won would look like nothing at all."""
    got = WANT.copy()
    got[[0, 2]] = got[[2, 0]]
    labels = np.array([0, 1, 0, 1])
    paired = scores_of(compared(WANT, got, labels=labels, scores=True, within=loose)).paired
    assert paired is not None
    assert (paired.both_right, paired.only_reference, paired.only_target, paired.both_wrong) == (1, 1, 1, 1)
    assert (paired.difference, paired.p_value, paired.kept) == (0.0, 1.0, 1.0)
    assert paired.kept_interval is not None
    assert paired.kept_interval.low < 1 < paired.kept_interval.high


def test_paired_figures_are_those_of_the_counts_over_all_chunks(compared: Compared, loose: Tolerance) -> None:
    """Otherwise an interval would be given with the figures of another comparison."""
    want, got = (np.eye(3)[best] for best in ([0, 0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0, 0, 1]))
    comparison = compared(want, got, labels=np.zeros(8, int), scores=True, within=loose, chunks=(3, 3))
    figures = scores_of(comparison)
    assert figures.paired == PairedAccuracy(
        both_right=4,
        only_reference=2,
        only_target=1,
        both_wrong=1,
        difference=-1 / 8,
        difference_interval=paired_difference(2, 1, 8),
        p_value=mcnemar(2, 1),
        kept=5 / 6,
        kept_interval=paired_ratio(4, 2, 1),
    )
    assert (figures.accuracy, figures.reference_accuracy) == (5 / 8, 6 / 8)
    assert [flip.place for flip in figures.flips] == [(3,), (4,), (6,)]
    never = scores_of(compared(want, got, labels=np.full(8, 2), scores=True, within=loose)).paired
    assert never is not None
    assert (never.both_wrong, never.kept, never.kept_interval) == (8, None, None)
    # The target alone is right three times: there is nothing that could be kept.
    labels = np.array([2, 2, 2, 1, 1, 2, 0, 2])
    gained = scores_of(compared(want, got, labels=labels, scores=True, within=loose, chunks=(3, 1))).paired
    assert gained is not None
    assert (gained.only_target, gained.both_wrong, gained.kept, gained.kept_interval) == (3, 5, None, None)


def test_scores_of_two_classes_have_no_top_k_and_logits_no_divergence(compared: Compared, loose: Tolerance) -> None:
    """Otherwise figures would stand there that mean nothing."""
    logits = np.array([[3.0, -1.0], [0.5, 2.0], [1.0, 0.0]])
    scores = scores_of(compared(logits, logits, scores=True, within=loose))
    assert (scores.top_k, scores.divergence) == (None, None)
    assert scores.no_divergence == "the reference's scores go below 0 (-1), so they are no distributions"
