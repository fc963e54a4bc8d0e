"""KL and Jensen-Shannon divergence are SciPy's, and are not taken of what is no distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from pipeline.parity.divergence import DivergenceTally, divergences


def test_both_divergences_are_scipys() -> None:
    """Otherwise the figures could not be held against anybody else's."""
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(10), 50), rng.dirichlet(np.ones(10), 50)
    kl, js = divergences(p, q)
    assert kl == pytest.approx(entropy(p, q, axis=1))
    assert js == pytest.approx(jensenshannon(p, q, axis=1) ** 2)


def test_a_class_given_no_chance_makes_kl_infinite_and_js_not() -> None:
    """Otherwise one zero would hide the other decisions."""
    tally = DivergenceTally()
    tally.add(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([[0.0, 1.0], [0.25, 0.75]]))
    found = tally.figures()
    assert found is not None
    assert (found.kl_max, found.kl_infinite, found.kl_mean, found.js_worst) == (math.inf, 1, 0.0, 0)
    assert 0 < found.js_max <= math.log(2)


def test_means_and_the_worst_are_those_of_all_decisions_in_all_blocks() -> None:
    """Otherwise many small differences would look like one, or one like many."""
    rng = np.random.default_rng(1)
    p, q = rng.dirichlet(np.ones(4), 30), rng.dirichlet(np.ones(4), 30)
    tally = DivergenceTally()
    for part in (slice(0, 7), slice(7, 30)):
        tally.add(p[part], q[part])
    found = tally.figures()
    assert found is not None
    kl, js = entropy(p, q, axis=1), jensenshannon(p, q, axis=1) ** 2
    assert (found.kl_mean, found.js_mean) == pytest.approx((kl.mean(), js.mean()))
    assert (found.kl_max, found.js_max) == pytest.approx((kl.max(), js.max()))
    assert (found.js_worst, found.kl_infinite) == (int(js.argmax()), 0)


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        ([2.0, -1.0], "the target's scores go below 0 (-1), so they are no distributions"),
        ([2.0, 1.0], "the target's scores add up to 3, not 1, so they are no distributions"),
        ([math.nan, 1.0], "the target's scores are not all finite"),
    ],
)
def test_scores_that_are_no_distribution_are_said_to_be_none(scores: list[float], why: str) -> None:
    """Otherwise logits would be given a divergence."""
    tally = DivergenceTally()
    tally.add(np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]]))
    tally.add(np.array([[0.5, 0.5]]), np.array([scores]))
    assert (tally.figures(), tally.not_taken) == (None, why)


def test_one_decision_is_enough_and_none_is_none() -> None:
    """Otherwise a single sample, or none, would end the comparison."""
    assert DivergenceTally().figures() is None
    tally = DivergenceTally()
    tally.add(np.array([[1.0]]), np.array([[1.0]]))
    found = tally.figures()
    assert found is not None
    assert (found.kl_max, found.js_max) == (0.0, 0.0)


def test_a_mean_of_infinities_is_infinite() -> None:
    """Otherwise a target that gives every right class no chance would end the comparison."""
    tally = DivergenceTally()
    tally.add(np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]))
    found = tally.figures()
    assert found is not None
    assert (found.kl_mean, found.kl_infinite) == (math.inf, 1)


@pytest.mark.parametrize(
    ("want", "got", "why"),
    [
        ([[0.5, 0.5], [0.5, 0.5]], [[0.5, 0.5], [1.5, -0.5]], "the target's scores go below 0 (-0.5)"),
        ([[0.5, 0.5], [3.0, 0.0]], [[3.0, 0.0], [0.5, 0.5]], "the target's scores add up to 3, not 1"),
    ],
)
def test_the_first_row_that_is_odd_is_told(want: list[list[float]], got: list[list[float]], why: str) -> None:
    """Otherwise a sound row, or the other side, would be blamed."""
    tally = DivergenceTally()
    tally.add(np.array(want), np.array(got))
    assert tally.not_taken is not None
    assert tally.not_taken.startswith(why)
