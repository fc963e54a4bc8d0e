"""Differences of values are found, counted, placed and measured, whatever the order and the split of the samples."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from pipeline.parity.compare import OutputComparer
from pipeline.parity.comparison import OutputComparison
from pipeline.parity.figures import NumericFigures
from pipeline.parity.findings import (
    SqnrTooLow,
    ValuesDiffer,
)
from pipeline.parity.tolerances import Tolerance
from tests.unit.pipeline.parity.answers import (
    ANYTHING,
    FINITE,
    PROPERTY,
    Compared,
    answers,
    kinds,
    numeric,
    ramp,
)


def test_equal_answers_have_no_error_and_infinite_sqnr(compared: Compared) -> None:
    """Otherwise a perfect target would look imperfect."""
    comparison = compared(ramp(), ramp())
    figures = numeric(comparison)
    assert comparison.findings == ()
    assert comparison.vacuous is None
    assert (figures.max_error, figures.rmse, figures.sqnr_db, figures.tolerance_used) == (0, 0, math.inf, 0)
    assert (figures.smallest_atol, figures.smallest_rtol, figures.worst) == (0, 0, None)
    assert (figures.histogram.zeros, figures.histogram.counts) == (24, ())


def test_a_difference_is_reported_with_count_place_both_values_and_both_bounds(compared: Compared) -> None:
    """Otherwise nobody could act on the finding."""
    got = ramp()
    got[5, 1] += 0.5
    got[2, 0] -= 0.01
    comparison = compared(ramp(), got)
    assert [finding.sentence for finding in comparison.findings] == [
        "scores: 2 of 24 values differ; worst at (5, 1): 2.07142854, expected 1.57142854 (atol 0.001, rtol 0.001)"
    ]
    assert [sample.sample for sample in comparison.worst_samples] == [5, 2]


@PROPERTY
@given(want=answers(FINITE), data=st.data())
def test_values_agree_just_when_the_rule_of_both_bounds_says_so(
    compared: Compared, want: NDArray[Any], data: st.DataObject
) -> None:
    """Otherwise the documented rule would not be the rule."""
    got = data.draw(arrays.arrays(np.float32, want.shape, elements=FINITE))
    atol, rtol = data.draw(st.sampled_from([0.0, 1e-6, 0.1, 10.0])), data.draw(st.sampled_from([0.0, 1e-3, 0.5]))
    within = Tolerance(atol=atol, rtol=rtol, reason="for the test", source="the test")
    want64, got64 = want.astype(np.float64), got.astype(np.float64)
    beyond = np.abs(got64 - want64) > atol + rtol * np.abs(want64)
    comparison = compared(want, got, within=within)
    assert numeric(comparison).mismatches == np.count_nonzero(beyond)
    assert (ValuesDiffer in kinds(comparison)) == bool(beyond.any())


@PROPERTY
@given(want=answers(FINITE), data=st.data())
@example(want=np.array([[1.0], [3.0]], dtype=np.float32), data=None)
def test_the_smallest_passing_tolerances_do_pass_and_little_less_does_not(
    compared: Compared, want: NDArray[Any], data: st.DataObject | None
) -> None:
    """Otherwise a user who types in what the report proposes would fail again."""
    got = want + np.float32(0.25) if data is None else data.draw(arrays.arrays(np.float32, want.shape, elements=FINITE))
    rtol = 1e-3
    figures = numeric(compared(want, got))
    just = Tolerance(atol=figures.smallest_atol, rtol=rtol, reason="for the test", source="the test")
    assert numeric(compared(want, got, within=just)).mismatches == 0
    if figures.smallest_atol > 1e-6:
        less = msgspec.structs.replace(just, atol=figures.smallest_atol * (1 - 1e-6))
        assert numeric(compared(want, got, within=less)).mismatches > 0
    if math.isfinite(figures.smallest_rtol):
        relative = Tolerance(atol=1e-3, rtol=figures.smallest_rtol, reason="for the test", source="the test")
        assert numeric(compared(want, got, within=relative)).mismatches == 0


@pytest.mark.parametrize(
    ("want", "got"), [(-966.9447021484375, -963.2842407226562), (-460.42657470703125, -462.8824768066406)]
)
def test_the_smallest_relative_tolerance_is_rounded_up(compared: Compared, want: float, got: float) -> None:
    """Otherwise what is proposed would fail by a digit that no one sees."""
    one, other = np.array([[want], [want]]), np.array([[got], [got]])
    found = numeric(compared(one, other)).smallest_rtol
    assert found == pytest.approx((abs(got - want) - 1e-3) / abs(want), rel=1e-12)
    proposed = Tolerance(atol=1e-3, rtol=found, reason="for the test", source="the test")
    assert numeric(compared(one, other, within=proposed)).mismatches == 0


def test_an_error_as_large_as_the_absolute_tolerance_needs_no_relative_one(compared: Compared) -> None:
    """Otherwise a relative tolerance would be proposed for nothing."""
    within = Tolerance(atol=0.25, rtol=0.0, reason="for the test", source="the test")
    powers = np.array([[1.0], [2.0]], np.float32)
    assert numeric(compared(powers, powers + np.float32(0.25), within=within)).smallest_rtol == 0


@PROPERTY
@given(want=answers(ANYTHING), data=st.data())
def test_how_samples_are_split_into_chunks_changes_no_figure(
    compared: Compared, want: NDArray[Any], data: st.DataObject
) -> None:
    """Otherwise a verdict could depend on how much memory a machine has."""
    got = data.draw(arrays.arrays(np.float32, want.shape, elements=ANYTHING))
    chunks = tuple(data.draw(st.lists(st.integers(0, 2), max_size=4)))[: len(want)]
    whole = compared(want, got, scores=True)
    split = compared(want, got, scores=True, chunks=chunks if sum(chunks) <= len(want) else ())
    assert without_variation(split) == without_variation(whole)


def without_variation(comparison: OutputComparison) -> bytes:
    """All but the one figure that depends on the order of additions; as JSON, where NaN equals itself."""
    figures = comparison.figures
    if isinstance(figures, NumericFigures):
        figures = msgspec.structs.replace(figures, variation=0.0)
    return msgspec.json.encode(msgspec.structs.replace(comparison, figures=figures, vacuous=None))


@PROPERTY
@given(want=answers(FINITE), got=st.data())
def test_absolute_figures_do_not_depend_on_which_side_is_which(
    compared: Compared, want: NDArray[Any], got: st.DataObject
) -> None:
    """Otherwise the size of an error would depend on who is called the reference."""
    other = got.draw(arrays.arrays(np.float32, want.shape, elements=FINITE))
    one, two = numeric(compared(want, other)), numeric(compared(other, want))
    assert (one.max_error, one.mean_error, one.rmse) == (two.max_error, two.mean_error, two.rmse)
    assert one.quantiles == two.quantiles
    assert one.histogram == two.histogram


@PROPERTY
@given(want=answers(FINITE), error=st.floats(1e-6, 1e3), more=st.floats(1.0, 10.0))
def test_a_larger_error_never_looks_better(compared: Compared, want: NDArray[Any], error: float, more: float) -> None:
    """Otherwise a worse target could pass where a better one fails."""
    want = want.astype(np.float64)
    signs = np.where(np.arange(want.size).reshape(want.shape) % 2, 1.0, -1.0)
    less, greater = compared(want, want + signs * error), compared(want, want + signs * error * more)
    one, two = numeric(less), numeric(greater)
    # Adding to `want` rounds, by less than this.
    slack = 1e-9
    assert two.max_error >= one.max_error - slack
    assert two.rmse >= one.rmse - slack
    assert two.sqnr_db <= one.sqnr_db + 1e-6 or math.isinf(one.sqnr_db)
    assert two.mismatches >= one.mismatches or one.tolerance_used < 1 + 1e-6
    assert two.tolerance_used >= one.tolerance_used * (1 - 1e-9)


def test_complex_values_are_compared_in_both_parts(compared: Compared) -> None:
    """Otherwise the imaginary part would be dropped unseen."""
    want = np.array([1 + 2j, 3 + 4j, -1j], np.complex64)
    assert kinds(compared(want, want + np.complex64(0.5j))) == [ValuesDiffer]
    assert compared(want, want).findings == ()


def test_errors_beyond_float64_fail_whatever_the_tolerance(compared: Compared) -> None:
    """Otherwise an infinite difference would be within an infinite allowance."""
    want = np.array([[1e308], [-1e308], [1.0]])
    loosest = Tolerance(atol=1e308, rtol=1e308, reason="for the test", source="the test")
    assert ValuesDiffer in kinds(compared(want, -want, within=loosest))


def test_too_much_noise_fails_even_when_each_value_is_within_tolerance(
    compared: Compared, tolerance: Tolerance
) -> None:
    """Otherwise a loose elementwise bound would hide a target that is wrong all over."""
    within = msgspec.structs.replace(tolerance, atol=1.0, sqnr_db=40.0)
    comparison = compared(ramp(), ramp() + np.float32(0.5), within=within)
    assert kinds(comparison) == [SqnrTooLow]
    assert comparison.findings[0].sentence == "scores: SQNR 8.7 dB, at least 40 dB asked"


def test_cosine_is_not_taken_of_almost_nothing(compared: Compared) -> None:
    """Otherwise noise around zero would look like a reversed direction."""
    want = ramp() * np.float32(1e-5)
    assert numeric(compared(want, -want)).cosine is None
    assert numeric(compared(ramp(), -ramp())).cosine == pytest.approx(-1)


def test_quantiles_are_never_too_low_and_at_most_a_64th_too_high(compared: Compared) -> None:
    """Otherwise the report would promise smaller errors than there are."""
    errors = np.random.default_rng(1).lognormal(-6, 3, size=(500, 20))
    for quantile in numeric(compared(np.zeros_like(errors), errors)).quantiles:
        exact = np.quantile(errors, quantile.share, method="inverted_cdf")
        assert exact <= quantile.error <= exact * (1 + 1 / 64)


def test_a_loose_gate_is_noted_on_a_pass_and_equality_is_not(compared: Compared) -> None:
    """Otherwise nobody would learn that the gate would not notice most faults."""
    want = np.arange(-4.0, 4.0).reshape(4, 2)
    off = want.copy()
    off[2, 0] += 1e-5  # where the reference is 0, so that atol alone counts
    assert (
        compared(want, off).loose == "loose gate: 100 x what was observed; atol 1e-5 with rtol 0.001 would have passed"
    )
    off = want.copy()
    off[3, 1] += 1e-4  # where it is 3, and 0.004 is allowed
    assert compared(want, off).loose == "loose gate: 40 x what was observed; rtol 0.001 alone would have passed"
    off[3, 1] = want[3, 1] + 6e-4
    assert compared(want, off).loose is None
    assert compared(ramp(), ramp()).loose is None
    assert compared(ramp(), ramp() + np.float32(9e-4)).loose is None


def test_where_nothing_is_allowed_any_error_is_infinitely_too_large(compared: Compared, tolerance: Tolerance) -> None:
    """Otherwise a bound of 0 would pass what it forbids, or forbid what is equal."""
    want = ramp()
    want[:, 0] = 0
    within = msgspec.structs.replace(tolerance, atol=0.0)
    assert numeric(compared(want, want, within=within)).tolerance_used == 0.0
    got = want.copy()
    got[2, 0] = 0.5
    assert numeric(compared(want, got, within=within)).tolerance_used == np.inf


def test_where_the_reference_is_0_no_error_is_relative(compared: Compared) -> None:
    """Otherwise half the relative errors would be said to be none."""
    want = np.array([[0.0, 0.0, 0.0, 2.0]])
    figures = numeric(compared(want, want + 1))
    assert {quantile.error for quantile in figures.relative_quantiles} == {0.5}


def test_the_place_of_a_complex_number_ends_with_its_part(compared: Compared) -> None:
    """Otherwise one would look at another element than the one that differs."""
    want = (ramp() + 1j * ramp()).astype(np.complex64)
    got = want.copy()
    got[5, 2] += 2j
    worst = numeric(compared(want, got)).worst
    assert worst is not None
    assert worst.place == (5, 2, 1)


def test_memory_does_not_grow_with_the_samples(tolerance: Tolerance) -> None:
    """Otherwise a large test split would not fit on a small machine."""
    want = np.random.default_rng(0).random((500, 1000), dtype=np.float32)
    peaks = []
    for chunks in (2, 20):
        tracemalloc.start()
        comparer = OutputComparer("scores", tolerance, scores=True)
        for _ in range(chunks):
            comparer.feed(want, want)
        assert comparer.finish().samples == chunks * 500
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2_000_000
    assert peaks[1] < 40_000_000


def test_every_figure_is_what_its_name_says(compared: Compared) -> None:
    """Otherwise a user would choose a tolerance by a number that is another."""
    want = np.array([[1.0, 2.0], [4.0, 0.0]])
    got = np.array([[1.5, 2.0], [3.0, 0.25]])
    figures = numeric(compared(want, got))
    assert (figures.elements, figures.compared, figures.max_error) == (4, 4, 1.0)
    assert figures.mean_error == pytest.approx((0.5 + 0 + 1 + 0.25) / 4)
    assert figures.rmse == pytest.approx(math.sqrt((0.25 + 1 + 0.0625) / 4))
    assert figures.sqnr_db == pytest.approx(10 * math.log10(21 / 1.3125))
    assert figures.cosine == pytest.approx((1.5 + 4 + 12) / math.sqrt(21 * (2.25 + 4 + 9 + 0.0625)))
    # Of 0.25 against 0 there is no relative error.
    assert figures.max_relative_error == 0.5
    assert [quantile.error for quantile in figures.relative_quantiles][-1] == pytest.approx(0.5, rel=1 / 64)
    assert figures.variation == pytest.approx(math.sqrt((1.5**2 + 1.0**2) / 2))
    assert figures.ulps is not None
    assert (figures.ulps.dtype, figures.ulps.same_bits) == ("float64", 1)


def test_figures_of_nothing_finite_are_zero(compared: Compared) -> None:
    """Otherwise a report would show errors where nothing could be compared."""
    comparison = compared(np.full((2, 2), np.nan), np.full((2, 2), np.nan))
    figures = numeric(comparison)
    assert (figures.compared, figures.mean_error, figures.rmse, figures.cosine, figures.ulps) == (
        0,
        0.0,
        0.0,
        None,
        None,
    )
    assert comparison.vacuous == "none of 4 values is finite on both sides, so no value was compared"


def test_the_smallest_difference_is_no_equality(compared: Compared) -> None:
    """Otherwise squares that vanish would give a wrong answer an infinite SQNR."""
    tiny = np.finfo(np.float64).smallest_subnormal
    figures = numeric(compared(np.array([[0.0], [1.0]]), np.array([[tiny], [1.0]])))
    assert figures.max_error == tiny
    assert figures.rmse > 0
    assert math.isfinite(figures.sqnr_db)


def test_an_sqnr_at_the_floor_is_enough(compared: Compared, tolerance: Tolerance) -> None:
    """Otherwise the floor that the report proposes would not pass."""
    want, got = ramp(), ramp() + np.float32(0.25)
    floor = numeric(compared(want, got)).sqnr_db
    loose = msgspec.structs.replace(tolerance, atol=1.0, sqnr_db=floor)
    assert compared(want, got, within=loose).findings == ()
    stricter = msgspec.structs.replace(loose, sqnr_db=float(np.nextafter(floor, np.inf)))
    assert kinds(compared(want, got, within=stricter)) == [SqnrTooLow]


def test_cosine_is_bounded_whatever_the_magnitudes(compared: Compared, tolerance: Tolerance) -> None:
    """Otherwise answers too small or too large to be squared would have an angle that does not exist."""
    within = msgspec.structs.replace(tolerance, atol=1e-3, rtol=0.0)
    # An RMS just above the tolerance, and just below it: many values, of little energy each.
    for scale, known in ((1.1, True), (0.9, False)):
        want = np.full((10, 40), 1e-3 * scale)
        assert (numeric(compared(want, want, within=within)).cosine is not None) == known
    small, large = np.full((4, 2), 2e-3), np.full((4, 2), 1e300)
    assert numeric(compared(small, -small, within=within)).cosine == pytest.approx(-1)
    assert numeric(compared(large, large, within=within)).cosine is None
    assert numeric(compared(large, small, within=within)).cosine is None


def test_sums_beyond_float64_are_infinite_not_an_error(compared: Compared) -> None:
    """Otherwise one enormous answer would end the whole comparison."""
    figures = numeric(compared(np.array([[1e308], [1e308]]), np.array([[0.0], [0.0]])))
    assert (figures.mean_error, figures.max_error) == (math.inf, 1e308)
    assert math.isnan(figures.sqnr_db)


def test_an_sqnr_that_cannot_be_taken_is_none_that_passes(compared: Compared, tolerance: Tolerance) -> None:
    """Otherwise noise without any signal, or beyond all numbers, would be above a floor."""
    loose = msgspec.structs.replace(tolerance, atol=1e300, sqnr_db=-1e9, constant=True)
    silent = compared(np.zeros((2, 2)), np.full((2, 2), 0.5), within=loose)
    assert numeric(silent).sqnr_db == -math.inf
    beyond = compared(np.ones((2, 2)), np.full((2, 2), 1e200), within=loose)
    assert math.isnan(numeric(beyond).sqnr_db)
    assert kinds(silent) == kinds(beyond) == [SqnrTooLow]
