"""When an error is out of line."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.core.artifact import Precision
from pipeline.explain.explanation import Difference
from pipeline.explain.measure import Broke
from pipeline.explain.rule import EXPECTED, difference, limits, out_of_line


def _plain(relative: float) -> Difference:
    return Difference(relative=relative, channel=relative, largest=relative)


def test_every_precision_has_its_expected_error() -> None:
    """An artifact of a new precision could not be explained."""
    assert set(EXPECTED) == set(Precision)
    assert all(0 < each.usual < each.ceiling < 1 for each in EXPECTED.values())


def test_a_difference_is_relative_to_the_trained_model() -> None:
    want = np.full((2, 3), 4.0)
    found = difference(want + np.array([0.0, 0.0, 2.0]), want)
    assert found.relative == pytest.approx(np.sqrt(4 / 3) / 4)
    assert found.channel == pytest.approx(0.5)
    assert found.largest == 2.0


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_value_that_only_one_has_finite_is_out_of_line(odd: float) -> None:
    """NaN compares as no difference at all."""
    want = np.ones((2, 2))
    got = want.copy()
    got[0, 1] = odd
    assert out_of_line(difference(got, want), limit=1.0)
    assert out_of_line(difference(want, got), limit=1.0)


def test_infinities_on_both_sides_do_not_hide_the_rest() -> None:
    want = np.array([[np.inf, 1.0], [2.0, 3.0]])
    assert difference(want, want).relative == 0.0
    assert difference(np.array([[np.inf, 1.5], [2.0, 3.0]]), want).largest == 0.5


def test_another_shape_and_a_piece_that_broke_are_out_of_line() -> None:
    assert out_of_line(difference(np.ones((2, 3)), np.ones((2, 4))), limit=1.0)
    assert out_of_line(difference(Broke(problem="it fell over"), np.ones((2, 4))), limit=1.0)


def test_one_wrong_channel_of_many_is_out_of_line() -> None:
    """Spread over a thousand channels, one that is lost looks like rounding."""
    want = np.ones((8, 1000))
    got = want.copy()
    got[:, 7] = 0.0
    found = difference(got, want)
    expected = EXPECTED[Precision.INT8]
    assert found.relative is not None
    assert found.relative > expected.usual
    assert out_of_line(found, expected.usual * 4)


def test_errors_like_those_of_the_others_are_in_line() -> None:
    """Every layer of a coarse artifact would be accused."""
    errors = [_plain(0.03), _plain(0.04), _plain(0.05), _plain(0.4)]
    bounds = limits(errors, Precision.INT8)
    assert [out_of_line(each, bound) for each, bound in zip(errors, bounds, strict=True)] == [False, False, False, True]


def test_no_company_makes_a_large_error_usual() -> None:
    """Were all layers wrong, none would be found."""
    errors = [_plain(0.5)] * 5
    assert all(out_of_line(each, bound) for each, bound in zip(errors, limits(errors, Precision.INT8), strict=True))
