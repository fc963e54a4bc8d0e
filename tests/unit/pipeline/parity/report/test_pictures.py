"""Where the bars of the report's pictures stand."""

from __future__ import annotations

import pytest

from pipeline.parity.figures import Answer, Histogram
from pipeline.parity.report.pictures import Axis, answer_bars, axis_of, histogram_bars


def test_bars_stand_where_their_errors_are_and_empty_bins_have_none() -> None:
    """Otherwise the picture would show other errors than there were."""
    histogram = Histogram(first_exponent=-4.0, per_decade=4, counts=(1, 0, 3), zeros=5)
    bars = histogram_bars(histogram, Axis(low=-5, high=-3))
    assert [(bar.x, bar.width) for bar in bars] == [pytest.approx((50, 12.5)), pytest.approx((75, 12.5))]
    assert [bar.y + bar.height for bar in bars] == pytest.approx([100, 100])
    assert [bar.height for bar in bars] == pytest.approx([50, 100])
    assert bars[1].label == "3 errors around 3.2e-04"


def test_the_axis_holds_all_errors_and_bounds_in_whole_decades() -> None:
    """Otherwise an error or a tolerance would fall off the picture."""
    histogram = Histogram(first_exponent=-7.5, per_decade=4, counts=(1, 1), zeros=0)
    assert axis_of([histogram], [1e-5, 0.02]) == Axis(low=-8, high=-1)
    assert axis_of([], []) == Axis(low=-8, high=0)
    assert axis_of([], [0.1]) == Axis(low=-1, high=0)


def test_what_is_off_the_axis_stands_at_its_end() -> None:
    """Otherwise an absurd error would vanish from the picture."""
    axis = Axis(low=-5, high=-3)
    assert [axis.place(error) for error in (0.0, 1e-9, 1e-4, 1.0, float("inf"))] == pytest.approx([0, 0, 50, 100, 100])


def test_answers_stand_side_by_side_above_and_below_zero() -> None:
    """Otherwise a changed sign would look like the same answer."""
    answers = (Answer(place=(0,), want=3.0, got=-1.0), Answer(place=(1,), want="NaN", got=1.0))
    bars = answer_bars(answers, ("cat", "dog"))
    assert [bar.side for bar in bars] == ["want", "got", "got"]
    assert [(bar.y, bar.height) for bar in bars] == [
        pytest.approx((0, 75)),
        pytest.approx((75, 25)),
        pytest.approx((50, 25)),
    ]
    assert bars[1].label == "cat: target -1"
