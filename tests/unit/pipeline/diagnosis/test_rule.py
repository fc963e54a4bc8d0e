"""What has to be shown before a cause is named."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.diagnosis.distance import distance
from pipeline.diagnosis.rule import AGREES_WITHIN, CLEARLY_BETTER, Freedom, Trial, Tried, fits, named, tried
from pipeline.parity.diagnosis import UNKNOWN


def outcome(
    after: float, *, cause: str = "a", freedom: Freedom = Freedom.NONE, allowed: float = 0.01, text: str = ""
) -> Tried:
    trial = Trial(cause=cause, sentence=text or f"{cause} happened", want={}, got={}, freedom=freedom)
    return Tried(trial=trial, after=after, by_allowed=after / allowed)


def test_a_cause_has_to_agree_about_as_well_as_the_tolerance_asks() -> None:
    assert fits(outcome(0.01 * AGREES_WITHIN), before=1.0)
    assert not fits(outcome(0.01 * AGREES_WITHIN * 1.01), before=1.0)


def test_a_cause_has_to_be_clearly_better_than_before() -> None:
    assert fits(outcome(0.01), before=0.01 * CLEARLY_BETTER)
    assert not fits(outcome(0.01), before=0.01 * CLEARLY_BETTER * 0.99)


@given(st.floats(0, 10), st.floats(1e-6, 10))
def test_nothing_is_named_that_does_not_fit(after: float, before: float) -> None:
    found = named([outcome(after)], before=before)
    assert (found.cause == "a") == fits(outcome(after), before=before)


def test_of_causes_that_fit_alike_the_one_with_less_freedom_is_named() -> None:
    several = [
        outcome(0.0008, cause="many", freedom=Freedom.MANY),
        outcome(0.001, cause="few", freedom=Freedom.ONE_OF_FEW),
        outcome(0.0009, cause="fitted", freedom=Freedom.FITTED),
    ]
    assert named(several, before=1.0).cause == "few"


def test_a_cause_that_fits_much_better_is_named_in_spite_of_its_freedom() -> None:
    several = [outcome(0.02, cause="few", freedom=Freedom.ONE_OF_FEW), outcome(0.001, cause="fitted")]
    assert named(several, before=1.0).cause == "fitted"


def test_of_the_variants_of_a_cause_the_nearest_is_told() -> None:
    found = named(
        [outcome(0.0009, text="255 times"), outcome(0.0001, text="16 times", freedom=Freedom.FITTED)], before=1.0
    )
    assert found.sentence == "16 times"


def test_an_unknown_cause_says_what_came_nearest_only_if_it_came_nearer() -> None:
    assert "a happened" in named([outcome(0.5)], before=1.0).sentence
    assert "a happened" not in named([outcome(2.0)], before=1.0).sentence
    assert named([], before=1.0).cause == UNKNOWN


def test_a_trial_is_as_bad_as_its_worst_output() -> None:
    want = np.random.default_rng(0).normal(size=(8, 3))
    trial = Trial(cause="a", sentence="", want={"x": want, "y": want}, got={"x": want, "y": want + 1})
    assert tried(trial, {"x": 0.1, "y": 0.1}).after == distance(want, want + 1) > 0


@given(st.floats(1e-3, 1e3))
def test_the_distance_does_not_depend_on_the_unit(unit: float) -> None:
    random = np.random.default_rng(1)
    want, got = random.normal(size=(20, 4)), random.normal(size=(20, 4))
    assert np.isclose(distance(want * unit, got * unit), distance(want, got))


def test_answers_that_are_not_finite_alike_or_of_another_shape_are_infinitely_far() -> None:
    want = np.arange(6.0).reshape(3, 2)
    nan = want.copy()
    nan[0, 0] = np.nan
    assert distance(want, nan) == np.inf
    assert distance(nan, nan) == 0
    assert distance(want, want.T) == np.inf
