"""NaN and the infinities must stand in the same places, class by class."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.parity.findings import (
    NonFiniteDiffers,
)
from pipeline.parity.tolerances import Tolerance
from tests.unit.pipeline.parity.answers import (
    ANYTHING,
    PROPERTY,
    Compared,
    answers,
    kinds,
    numeric,
    ramp,
)


@PROPERTY
@given(want=answers(ANYTHING), data=st.data())
def test_no_pass_when_what_is_not_finite_differs(compared: Compared, want: NDArray[Any], data: st.DataObject) -> None:
    """Otherwise a target that answers NaN or infinity would agree, as it does elsewhere."""
    got = want.copy()
    place = tuple(data.draw(st.integers(0, size - 1)) for size in want.shape)
    odd = [math.nan, math.inf, -math.inf, 0.0]
    got[place] = data.draw(st.sampled_from([value for value in odd if not same_class(value, float(want[place]))]))
    if math.isfinite(got[place]) and math.isfinite(want[place]):
        return
    loosest = Tolerance(atol=1e300, rtol=1e300, reason="for the test", source="the test")
    comparison = compared(want, got, within=loosest)
    assert NonFiniteDiffers in kinds(comparison)
    assert comparison.worst_samples[0].sample == place[0]


def same_class(one: float, other: float) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other if math.isinf(one) or math.isinf(other) else False


def test_what_is_not_finite_alike_is_no_difference(compared: Compared) -> None:
    """Otherwise a model that answers -inf by design (a mask) could never agree."""
    want = ramp()
    want[1] = (math.nan, math.inf, -math.inf)
    comparison = compared(want, want.copy())
    assert comparison.findings == ()
    assert (numeric(comparison).non_finite_alike, numeric(comparison).compared) == (3, 21)


def test_each_class_of_non_finite_values_is_told_apart(compared: Compared) -> None:
    """Otherwise +inf for -inf, or infinity for NaN, would pass."""
    want, got = ramp(), ramp()
    want[0] = (math.nan, math.inf, -math.inf)
    got[0] = (math.inf, -math.inf, math.nan)
    found = [finding for finding in compared(want, got).findings if isinstance(finding, NonFiniteDiffers)]
    assert [(finding.value, finding.only_wanted, finding.only_got) for finding in found] == [
        ("+inf", 1, 1),
        ("-inf", 1, 1),
        ("NaN", 1, 1),
    ]
    assert numeric(compared(want, got)).non_finite_alike == 0
    assert found[2].sentence == (
        "scores: NaN in 1 of 24 values where the reference has none and no NaN in 1 of 24 values where the reference "
        "has it; first at (0, 0): inf, expected nan"
    )


def test_places_are_counted_over_all_samples(compared: Compared) -> None:
    """Otherwise a report would count those of the last chunk only."""
    want, got = ramp(6), ramp(6)
    want[[0, 4], 1] = math.nan
    got[[1, 3, 5], 2] = math.inf
    found = [one for one in compared(want, got, chunks=(2, 2)).findings if isinstance(one, NonFiniteDiffers)]
    assert [(one.value, one.only_wanted, one.only_got, one.total, one.place) for one in found] == [
        ("+inf", 0, 3, 18, (1, 2)),
        ("NaN", 2, 0, 18, (0, 1)),
    ]
