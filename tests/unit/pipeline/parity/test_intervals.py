"""The intervals and tests are those of the literature: checked against SciPy, printed examples and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from pipeline.parity.intervals import mcnemar, paired_bootstrap, paired_difference, paired_ratio, wilson


@pytest.mark.parametrize(("successes", "of"), [(0, 1), (0, 360), (360, 360), (357, 360), (1, 3), (49_000, 50_000)])
def test_wilsons_interval_is_scipys(successes: int, of: int) -> None:
    """Otherwise an agreement would be given with the wrong trust."""
    known = binomtest(successes, of).proportion_ci(method="wilson")
    found = wilson(successes, of)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-9)


def test_no_share_is_taken_of_nothing() -> None:
    """Otherwise nothing compared would look like something."""
    with pytest.raises(ValueError, match="no share"):
        wilson(0, 0)


@pytest.mark.parametrize(
    ("lost", "won"), [(0, 0), (1, 0), (5, 1), (9, 9), (3, 14), (120, 80), (700, 600), (15_000, 14_500)]
)
def test_mcnemars_exact_test_is_scipys_binomial_test(lost: int, won: int) -> None:
    """Otherwise a real loss could be called chance."""
    known = binomtest(lost, lost + won, 0.5).pvalue if lost + won else 1.0
    assert mcnemar(lost, won) == pytest.approx(known, rel=1e-9)


def test_the_paired_ratio_is_the_published_example() -> None:
    """Bonett and Price (2006) print no digits that we could take; at symmetry the interval is symmetric in log."""
    interval = paired_ratio(300, 20, 20)
    assert interval is not None
    assert interval.low * interval.high == pytest.approx(1.0)
    assert paired_ratio(0, 0, 0) is None
    # Worked out by hand from the paper's formulas, with Wilson's interval in its other form.
    few = paired_ratio(3, 1, 2)
    assert few is not None
    assert (few.low, few.high) == pytest.approx((0.5556717344693316, 2.8119119672196278), rel=1e-12)


def test_intervals_of_paired_shares_hold_the_truth_about_as_often_as_they_say() -> None:
    """Otherwise "95 %" would be a word."""
    rng = np.random.default_rng(1)
    lost, won, both = 0.03, 0.02, 0.92
    truth, ratio = won - lost, (both + won) / (both + lost)
    held = held_ratio = 0
    for both_count, lost_count, won_count, _ in rng.multinomial(360, [both, lost, won, 1 - both - lost - won], 2000):
        difference = paired_difference(int(lost_count), int(won_count), 360)
        held += difference.low <= truth <= difference.high
        kept = paired_ratio(int(both_count), int(lost_count), int(won_count))
        assert kept is not None
        held_ratio += kept.low <= ratio <= kept.high
    assert 0.93 <= held / 2000 <= 0.98
    assert 0.93 <= held_ratio / 2000 <= 0.98


def test_without_a_difference_the_interval_still_has_a_width() -> None:
    """Otherwise 10 samples that agree would prove as much as 10,000."""
    few, many = paired_difference(0, 0, 10), paired_difference(0, 0, 10_000)
    assert few.low < many.low < 0 < many.high < few.high
    # Worked out by hand: 1 lost, 4 won, of 20.
    found = paired_difference(1, 4, 20)
    assert (found.low, found.high) == pytest.approx((-0.07428886744657662, 0.3470161401738493), rel=1e-12)
    # A difference of shares is never beyond 1.
    assert (paired_difference(0, 5, 5).high, paired_difference(5, 0, 5).low) == (1.0, -1.0)


def test_the_bootstrap_is_seeded_and_close_to_the_normal_interval_of_a_mean() -> None:
    """Otherwise the same report could be made twice with two results."""
    differences = np.random.default_rng(0).normal(0.5, 1.0, 400)
    found = paired_bootstrap(differences)
    assert found == paired_bootstrap(differences)
    spread = 1.96 * differences.std() / math.sqrt(400)
    assert found.low == pytest.approx(differences.mean() - spread, abs=0.02)
    assert found.high == pytest.approx(differences.mean() + spread, abs=0.02)


def test_the_bootstrap_draws_from_every_sample_and_less_often_from_many() -> None:
    """Otherwise one bad sample could be left out of the interval, or a large test split take minutes."""
    for at in (0, 9):
        one = np.zeros(10)
        one[at] = 10.0
        assert paired_bootstrap(one).high >= 2.0
    many = np.random.default_rng(0).normal(0.0, 1.0, 80_000)
    found = paired_bootstrap(many)
    assert found == paired_bootstrap(many, seed=0) != paired_bootstrap(many, seed=1)
    assert found.high - found.low == pytest.approx(2 * 1.96 / math.sqrt(80_000), rel=0.2)


def test_a_ratio_to_one_that_was_never_right_has_no_upper_end() -> None:
    """Otherwise a reference without a right answer would end the comparison."""
    found = paired_ratio(0, 0, 5)
    assert found is not None
    assert found.high == math.inf


@pytest.mark.parametrize("of", [1, 2, 3, 7, 49, 50, 360, 99_999])
def test_wilsons_ends_are_the_scales_own(of: int) -> None:
    """Otherwise a target without a fault would be given less than 100 %, for a rounding."""
    assert wilson(0, of).low == 0.0
    assert wilson(of, of).high == 1.0
    assert all(wilson(right, of).low >= 0 and wilson(right, of).high <= 1 for right in range(0, of + 1, of // 7 + 1))
