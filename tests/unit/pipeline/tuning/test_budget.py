"""Budgets: read as they are written, and met or not to the last answer."""

from __future__ import annotations

import dataclasses

import pytest

from pipeline.core.errors import UsageError
from pipeline.tuning.budget import Quality, parsed

GOOD = Quality(
    top1=0.97,
    reference_top1=0.98,
    agreement=0.995,
    sqnr_db=41.0,
    errors={"mass": 0.31, "age": 2.0},
    reference_errors={"mass": 0.30, "age": 2.0},
)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("top1>=0.97", True),
        ("top1 >= 0.971", False),
        ("top1>=0.98*ref", True),
        ("top1>=0.99*ref", False),
        ("agreement>=0.995", True),
        ("agreement>=1", False),
        ("sqnr>=41", True),
        ("sqnr>=41.5", False),
        ("error<=1.04*ref", True),
        ("error<=1.03*ref", False),
        ("error<=2", True),
        ("error<=1.9", False),
    ],
)
def test_a_bound_holds_or_not(text: str, met: bool) -> None:  # noqa: FBT001  # a parameter
    """A variant that is a little too bad would be shipped, or one that is good enough thrown away."""
    assert parsed(text).met_by(GOOD) is met


def test_a_share_of_the_references_share_is_not_lost_to_rounding() -> None:
    """0.99 times 100 of 100 answers is 0.99; in binary it may be a little more."""
    exactly = dataclasses.replace(GOOD, top1=1 - 0.01, reference_top1=1.0)
    assert parsed("top1>=0.99*ref").met_by(exactly)


@pytest.mark.parametrize(
    "text",
    ["", "top1", "top1>0.9", "top5>=0.9", "top1<=0.9", "error>=1", "sqnr>=30*ref", "agreement>=1*ref", "top1>=-1"],
)
def test_what_cannot_be_is_refused_with_an_example(text: str) -> None:
    """Taken for no budget, anything would meet it."""
    with pytest.raises(UsageError) as raised:
        parsed(text)
    assert "top1>=0.99*ref" in raised.value.hint


@pytest.mark.parametrize("text", ["top1>=98", "agreement>=1.5"])
def test_percents_are_told_from_shares(text: str) -> None:
    """No variant ever meets 98 of 1, and one would learn of it when all had been tried."""
    with pytest.raises(UsageError, match="is a share, 1 at most") as raised:
        parsed(text)
    assert ">=0.98" in raised.value.hint


@pytest.mark.parametrize("text", ["top1>=0.9", "agreement>=0.9", "sqnr>=10", "error<=1"])
def test_a_budget_that_the_model_has_nothing_for_is_refused(text: str) -> None:
    """Neither met nor missed: a person has to choose another."""
    nothing = Quality(top1=None, reference_top1=None, agreement=None, sqnr_db=None)
    with pytest.raises(UsageError, match="the model has no"):
        parsed(text).met_by(nothing)


def test_a_budget_says_itself_as_it_was_written() -> None:
    """The table would show another bound than the one asked for."""
    for text in ("top1>=0.99*ref", "sqnr>=40", "error<=1.05*ref"):
        assert parsed(text).text == text
