"""The comparator passes nothing that it should fail, and says what it found."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from pipeline.core.outcome import Recording
from pipeline.core.signature import Signature, Tensors
from pipeline.parity.compare import OutputComparer, compare_recording
from pipeline.parity.comparison import OutputComparison, status_of
from pipeline.parity.figures import NumericFigures
from pipeline.parity.findings import (
    DependsOnBatchSize,
    DtypeDiffers,
    Finding,
    NonFiniteDiffers,
    NotEqual,
    OutputsExtra,
    OutputsMissing,
    SampleCountDiffers,
    ShapeDiffers,
    SqnrTooLow,
    ValuesDiffer,
)
from pipeline.parity.status import Fail, Inconclusive, Pass
from pipeline.parity.tolerances import Tolerance

Compared = Callable[..., OutputComparison]
Record = Callable[[Mapping[int, Tensors]], Recording]

# The fixtures are factories without state, so sharing them between examples is sound.
PROPERTY = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
FINITE = st.floats(-1e6, 1e6, width=32)
ANYTHING = st.floats(width=32, allow_nan=True, allow_infinity=True)
SHAPES = st.tuples(st.integers(2, 9), st.integers(1, 5))


def answers(elements: st.SearchStrategy[float]) -> st.SearchStrategy[NDArray[np.float32]]:
    return arrays.arrays(np.float32, SHAPES, elements=elements)


def ramp(samples: int = 8, elements: int = 3) -> NDArray[np.float32]:
    """Answers that differ in every element and vary over the samples."""
    return ((np.arange(samples * elements).reshape(samples, elements) - 5) / 7).astype(np.float32)


def numeric(comparison: OutputComparison) -> NumericFigures:
    assert isinstance(comparison.figures, NumericFigures)
    return comparison.figures


def kinds(comparison: OutputComparison) -> list[type[Finding]]:
    return [type(finding) for finding in comparison.findings]


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


@pytest.mark.parametrize("chunks", [(), (3, 3)])
def test_a_shorter_list_of_answers_fails(compared: Compared, chunks: tuple[int, ...]) -> None:
    """Otherwise a target that stops early would be judged by what it got right."""
    comparison = compared(ramp(8), ramp(8)[:7], chunks=chunks)
    assert comparison.findings == (SampleCountDiffers(output="scores", want=8, got=7),)
    assert comparison.figures is None
    assert comparison.findings[0].sentence == "scores: 7 samples answered, expected 8"


def test_a_longer_list_of_answers_fails(compared: Compared) -> None:
    """Otherwise answers to nothing would go unseen."""
    assert kinds(compared(ramp(8)[:7], ramp(8))) == [SampleCountDiffers]


@pytest.mark.parametrize("shape", [(8, 4), (8,), (8, 3, 1)])
def test_another_shape_is_no_numeric_difference(compared: Compared, shape: tuple[int, ...]) -> None:
    """Otherwise broadcasting would compare values that do not belong together."""
    comparison = compared(ramp(), np.zeros(shape, np.float32))
    assert kinds(comparison) == [ShapeDiffers]
    assert comparison.figures is None


def test_another_dtype_is_its_own_finding(compared: Compared) -> None:
    """Otherwise a dtype lost on the wire would be called rounding, or nothing."""
    comparison = compared(ramp(), ramp().astype(np.float64))
    assert [finding.sentence for finding in comparison.findings] == ["scores: dtype float64, expected float32"]
    assert kinds(compared(np.arange(8, dtype=np.int32), np.arange(8, dtype=np.int64))) == [DtypeDiffers]


@pytest.mark.parametrize(
    ("want", "got", "sentence"),
    [
        (
            np.array([1, 2, 3], np.int64),
            np.array([1, 2, 2**53 + 1], np.int64),
            "scores: 1 of 3 values are not equal; first at (2): 9007199254740993, expected 3",
        ),
        (
            np.array([True, False]),
            np.array([True, True]),
            "scores: 1 of 2 values are not equal; first at (1): True, expected False",
        ),
        (
            np.array([b"cat", b"dog"], object),
            np.array(["cat", "cow"]),
            "scores: 1 of 2 values are not equal; first at (1): 'cow', expected 'dog'",
        ),
    ],
)
def test_integers_booleans_and_text_must_be_equal(
    compared: Compared, want: NDArray[Any], got: NDArray[Any], sentence: str
) -> None:
    """Otherwise a tolerance for rounding would excuse what cannot be rounding."""
    comparison = compared(want, got)
    assert kinds(comparison) == [NotEqual]
    assert comparison.findings[0].sentence == f"{sentence} (this dtype must be exactly equal)"


def test_text_and_its_utf8_bytes_are_the_same(compared: Compared) -> None:
    """Otherwise REST and gRPC could never agree on a string output."""
    want = np.array(["Zürich", "Bern"], object)
    assert compared(want, np.array([text.encode() for text in want], object)).findings == ()


def test_large_integers_are_not_compared_as_floats(compared: Compared) -> None:
    """Otherwise neighbours above 2^53 would be equal."""
    want = np.array([2**60, 0], np.int64)
    assert kinds(compared(want, want + np.array([1, 0]))) == [NotEqual]


def test_complex_values_are_compared_in_both_parts(compared: Compared) -> None:
    """Otherwise the imaginary part would be dropped unseen."""
    want = np.array([1 + 2j, 3 + 4j, -1j], np.complex64)
    assert kinds(compared(want, want + np.complex64(0.5j))) == [ValuesDiffer]
    assert compared(want, want).findings == ()


def test_a_zero_dimensional_answer_is_refused_not_broadcast(compared: Compared) -> None:
    """Otherwise one number would stand for every sample."""
    assert kinds(compared(ramp(8, 1), np.float32(0).reshape(1, 1)[:1].repeat(1))) == [SampleCountDiffers]


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
    loose = compared(ramp(), ramp() + np.float32(1e-5)).loose
    assert loose is not None
    assert loose.startswith("loose gate: ")
    assert compared(ramp(), ramp()).loose is None
    assert compared(ramp(), ramp() + np.float32(9e-4)).loose is None


def reference() -> dict[str, NDArray[Any]]:
    return {"scores": ramp(), "count": np.arange(8, dtype=np.int32)}


def statused(
    got: Mapping[int, Tensors], recording: Record, signature: Signature, tolerance: Tolerance
) -> Pass | Fail | Inconclusive:
    tolerances = dict.fromkeys(signature.output_names, tolerance)
    return status_of(compare_recording(reference(), recording(got), signature=signature, tolerances=tolerances))


def test_a_recording_that_equals_the_reference_passes(
    recording: Record, signature: Signature, tolerance: Tolerance
) -> None:
    """Otherwise nothing could ever pass."""
    assert statused({1: reference(), 4: reference()}, recording, signature, tolerance) == Pass()


def test_missing_and_extra_outputs_fail(recording: Record, signature: Signature, tolerance: Tolerance) -> None:
    """Otherwise a renamed output would go uncompared."""
    renamed = {"Identity": ramp(), "count": reference()["count"]}
    status = statused({1: renamed}, recording, signature, tolerance)
    assert isinstance(status, Fail)
    assert [found.sentence for found in status.findings] == [
        "missing output scores; answered were Identity, count [batch size 1]",
        "answered with output Identity beyond the signature, which has count, scores [batch size 1]",
    ]
    assert [type(found.finding) for found in status.findings] == [OutputsMissing, OutputsExtra]


def test_outputs_are_paired_by_name_never_by_position(recording: Record, tolerance: Tolerance) -> None:
    """Otherwise permuted outputs would agree with each other's reference."""
    names = ("left", "right")
    signature = Signature.from_json(
        {
            "name": "s",
            "inputs": [],
            "outputs": [{"name": name, "dtype": "float32", "shape": [None, 3]} for name in names],
        }
    )
    want = {"left": ramp(), "right": -ramp()}
    tolerances = dict.fromkeys(names, tolerance)

    def status(got: Tensors) -> object:
        return status_of(compare_recording(want, recording({1: got}), signature=signature, tolerances=tolerances))

    assert status({"right": want["right"], "left": want["left"]}) == Pass()
    assert isinstance(status({"left": want["right"], "right": want["left"]}), Fail)


def test_one_wrong_batch_size_fails_and_is_named(recording: Record, signature: Signature, tolerance: Tolerance) -> None:
    """Otherwise a fault that shows only in large batches would be averaged away."""
    wrong = reference() | {"count": np.arange(8, dtype=np.int32)[::-1]}
    worse = reference() | {"scores": ramp() + np.float32(1)}
    little = ramp()
    little[0, 0] += 1
    got = {1: reference(), 7: wrong, 16: reference() | {"scores": little}, 64: worse}
    status = statused(got, recording, signature, tolerance)
    assert isinstance(status, Fail)
    assert [(type(found.finding), found.batch_sizes, found.lesser_at) for found in status.findings] == [
        (NotEqual, (7,), ()),
        (ValuesDiffer, (64,), (16,)),
        (DependsOnBatchSize, (16, 64), ()),
        (DependsOnBatchSize, (7,), ()),
    ]


def test_how_far_batch_sizes_are_apart_is_measured(
    recording: Record, signature: Signature, tolerance: Tolerance
) -> None:
    """Otherwise nobody would see that a runtime answers differently in batches."""
    apart, odd = ramp(), ramp()
    apart[2, 2] += 0.25
    odd[1, 1] = math.nan
    tolerances = dict.fromkeys(signature.output_names, tolerance)

    def spreads(*scores: NDArray[Any]) -> dict[str, float | None]:
        got = {size: reference() | {"scores": values} for size, values in enumerate(scores, start=1)}
        comparison = compare_recording(reference(), recording(got), signature=signature, tolerances=tolerances)
        return {spread.output: spread.spread for spread in comparison.batch_spread}

    assert spreads(ramp(), apart, ramp()) == {"scores": pytest.approx(0.25), "count": 0.0}
    assert spreads(ramp(), odd) == {"scores": math.inf, "count": 0.0}
    assert spreads(odd, odd) == {"scores": 0.0, "count": 0.0}
    assert spreads(ramp(), ramp()[:, :2]) == {"scores": None, "count": 0.0}
    assert spreads(ramp()) == {}


def test_a_recording_without_answers_is_inconclusive(
    recording: Record, signature: Signature, tolerance: Tolerance
) -> None:
    """Otherwise an empty loop would end in green."""
    assert statused({}, recording, signature, tolerance) == Inconclusive(reason="nothing was compared")


def test_no_samples_is_inconclusive(compared: Compared) -> None:
    """Otherwise an empty test split would prove agreement."""
    assert compared(ramp()[:0], ramp()[:0]).vacuous == "there is no value to compare"


def test_a_reference_that_lacks_an_output_is_an_error_of_the_caller(
    recording: Record, signature: Signature, tolerance: Tolerance
) -> None:
    """Otherwise an output without a reference would count as compared."""
    tolerances = dict.fromkeys(signature.output_names, tolerance)
    with pytest.raises(ValueError, match="the reference has outputs"):
        compare_recording({"scores": ramp()}, recording({1: reference()}), signature=signature, tolerances=tolerances)
    with pytest.raises(ValueError, match="7 labels for 8 samples"):
        compare_recording(
            reference(),
            recording({1: reference()}),
            signature=signature,
            tolerances=tolerances,
            labels=np.zeros(7, np.int64),
            scores_output="scores",
        )


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
