"""Names, counts, shapes and dtypes come before any value, and outputs are paired by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.signature import Signature, Tensors
from pipeline.parity.compare import OutputComparer, compare_recording
from pipeline.parity.comparison import Comparison, OutputComparison, status_of
from pipeline.parity.findings import (
    DtypeDiffers,
    OutputsExtra,
    OutputsMissing,
    SampleCountDiffers,
    ShapeDiffers,
)
from pipeline.parity.status import Fail, Inconclusive, Pass
from pipeline.parity.tolerances import Tolerance
from tests.unit.pipeline.parity.answers import (
    Compared,
    Record,
    kinds,
    numeric,
    ramp,
    reference,
    statused,
)


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
    assert comparison.findings == (ShapeDiffers(output="scores", want=(3,), got=shape[1:]),)
    assert comparison.figures is None


def test_another_dtype_is_its_own_finding(compared: Compared) -> None:
    """Otherwise a dtype lost on the wire would be called rounding, or nothing."""
    comparison = compared(ramp(), ramp().astype(np.float64))
    assert [finding.sentence for finding in comparison.findings] == ["scores: dtype float64, expected float32"]
    assert kinds(compared(np.arange(8, dtype=np.int32), np.arange(8, dtype=np.int64))) == [DtypeDiffers]


def test_a_zero_dimensional_answer_is_refused_not_broadcast(compared: Compared) -> None:
    """Otherwise one number would stand for every sample."""
    assert kinds(compared(ramp(8, 1), np.float32(0).reshape(1, 1)[:1].repeat(1))) == [SampleCountDiffers]


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


def test_an_output_that_the_reference_does_not_repeat_is_held_to_its_form_only(
    recording: Record, signature: Signature, tolerance: Tolerance
) -> None:
    """Otherwise a random output would fail every target, or its shape and type go unlooked at."""
    why = "the model's own answers change from call to call"

    def compared_with(count: NDArray[Any]) -> Comparison:
        return compare_recording(
            reference(),
            recording({1: {"scores": ramp(), "count": count}}),
            signature=signature,
            tolerances=dict.fromkeys(signature.output_names, tolerance),
            unrepeatable={"count": why},
        )

    comparison = compared_with(np.zeros(8, np.int32))
    assert comparison.batches[0].outputs[1] == OutputComparison(output="count", samples=8, findings=(), vacuous=why)
    assert status_of(comparison) == Inconclusive(reason=f"count: {why}")
    assert compared_with(np.zeros(8, np.int64)).batches[0].outputs[1] == OutputComparison(
        output="count",
        samples=8,
        findings=(DtypeDiffers(output="count", want="int32", got="int64"),),
        vacuous=why,
    )


def test_classes_of_what_is_not_finite_are_findings_of_their_own(
    recording: Record, signature: Signature, tolerance: Tolerance
) -> None:
    """Otherwise a NaN at one batch size and an infinity at another would be told as one."""
    nan, infinite = ramp(), ramp()
    nan[0, 0], infinite[1, 1] = np.nan, np.inf
    got = {1: reference() | {"scores": nan}, 4: reference() | {"scores": infinite}}
    status = statused(got, recording, signature, tolerance)
    assert isinstance(status, Fail)
    assert [
        (found.finding.value, found.batch_sizes) for found in status.findings if hasattr(found.finding, "value")
    ] == [
        ("NaN", (1,)),
        ("+inf", (4,)),
    ]


def test_the_time_of_a_sample_stands_beside_its_batch_size(
    signature: Signature, tolerance: Tolerance, recording: Record
) -> None:
    """Otherwise the report would show no time, or that of another batch size."""
    recorded = replace(recording({1: reference(), 4: reference()}), milliseconds_per_sample={1: 0.5, 4: 0.125})
    tolerances = dict.fromkeys(signature.output_names, tolerance)
    comparison = compare_recording(reference(), recorded, signature=signature, tolerances=tolerances)
    assert [(one.batch_size, one.milliseconds_per_sample) for one in comparison.batches] == [(1, 0.5), (4, 0.125)]


@pytest.mark.parametrize(
    ("want", "got", "samples"), [(np.float32(1), ramp(), 0), (ramp(), np.float32(1), 8), (ramp(), ramp(8, 4)[0, 0], 8)]
)
def test_an_answer_without_dimensions_is_another_shape(
    tolerance: Tolerance, want: NDArray[Any], got: NDArray[Any], samples: int
) -> None:
    """Otherwise a target that answers one number would end the run with a traceback, or stand for every sample."""
    comparer = OutputComparer("scores", tolerance)
    comparer.feed(want, got)
    assert comparer.finish() == OutputComparison(
        output="scores",
        samples=samples,
        findings=(ShapeDiffers(output="scores", want=np.shape(want), got=np.shape(got)),),
    )


def test_an_answer_without_dimensions_is_no_sample(tolerance: Tolerance) -> None:
    """Otherwise fewer samples would be said to be missing than are."""
    comparer = OutputComparer("scores", tolerance)
    comparer.feed(ramp(8), ramp(8)[:7])
    comparer.feed(ramp(1), np.asarray(np.float32(0)))
    assert comparer.finish().findings == (SampleCountDiffers(output="scores", want=9, got=7),)


def test_what_was_never_fed_agrees_with_nothing(tolerance: Tolerance) -> None:
    """Otherwise an output without a sample would end in green, or in a finding without words."""
    assert OutputComparer("scores", tolerance).finish() == OutputComparison(
        output="scores", samples=0, findings=(), vacuous="there is no value to compare"
    )


@pytest.mark.parametrize(("elements", "blocks"), [(1 << 18, [[0], [1], [2]]), (1 << 16, [[0, 1], [2]])])
def test_large_answers_are_cut_into_blocks_that_hold_each_sample_once(
    tolerance: Tolerance, elements: int, blocks: list[list[float]]
) -> None:
    """Otherwise samples would count twice, or a large answer would take a dozen times its memory."""
    seen: list[list[float]] = []

    class Seeing(OutputComparer):
        def _add(self, want: NDArray[Any], got: NDArray[Any], labels: NDArray[Any] | None) -> None:
            assert labels is not None
            assert want[:, 0].tolist() == got[:, 0].tolist() == labels.tolist()
            seen.append(labels.tolist())

    answers = np.repeat(np.arange(3, dtype=np.float32)[:, np.newaxis], elements, axis=1)
    Seeing("scores", tolerance).feed(answers, answers, labels=np.arange(3))
    assert seen == blocks


@pytest.mark.parametrize(
    ("shape", "scored"), [((8, 3), True), ((8, 1, 3), True), ((8,), False), ((8, 1), False), ((8, 3, 1), False)]
)
def test_what_has_several_values_in_its_last_dimension_is_scores(
    compared: Compared, shape: tuple[int, ...], *, scored: bool
) -> None:
    """Otherwise the samples of a single number would be taken for classes, or classes for no scores."""
    answers = ramp(8, int(np.prod(shape[1:]))).reshape(shape)
    assert (compared(answers, answers, scores=True).scores is not None) == scored


def test_scores_are_looked_at_where_they_are_asked_for_only(tolerance: Tolerance) -> None:
    """Otherwise embeddings would fail for a best class that they do not have."""
    comparer = OutputComparer("embedding", tolerance)
    comparer.feed(ramp(), ramp())
    assert comparer.finish().scores is None


def test_a_label_of_the_sample_is_not_that_of_its_pixels(compared: Compared) -> None:
    """Otherwise segmentations would get an accuracy of labels that are of something else."""
    pixels = ramp(8, 6).reshape(8, 2, 3)
    labelled = compared(pixels, pixels, scores=True, labels=np.full(8, 2))
    assert labelled.scores is not None
    assert labelled.scores == compared(pixels, pixels, scores=True).scores


@pytest.mark.parametrize("text", ["S1", "U1", object])
def test_text_is_called_string_in_any_of_its_forms(compared: Compared, text: Any) -> None:
    """Otherwise a finding would name types that no signature has."""
    words = np.array(["a", "b"]).astype(text)
    assert compared(np.zeros(2, np.float32), words).findings == (
        DtypeDiffers(output="scores", want="float32", got="string"),
    )


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_floats_that_numpy_does_not_have_are_compared_as_floats(compared: Compared, dtype: Any) -> None:
    """Otherwise bfloat16 answers would be held to be equal bit by bit."""
    assert numeric(compared(ramp().astype(dtype), ramp().astype(dtype))).max_error == 0


def test_a_missing_sample_is_told_of_an_output_that_is_not_compared(
    recording: Record, signature: Signature, tolerance: Tolerance
) -> None:
    """Otherwise answers of another number would be told without their numbers."""
    comparison = compare_recording(
        reference(),
        recording({1: {"scores": ramp(), "count": np.zeros(7, np.int32)}}),
        signature=signature,
        tolerances=dict.fromkeys(signature.output_names, tolerance),
        unrepeatable={"count": "it changes"},
    )
    assert comparison.batches[0].outputs[1].findings == (SampleCountDiffers(output="count", want=8, got=7),)
