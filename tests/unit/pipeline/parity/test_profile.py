"""Tolerances follow from the model's own rounding, and from nothing else."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.artifact import CALIBRATED_PRECISIONS, Format, Precision
from pipeline.parity.profile import (
    NoProfile,
    OutputProfile,
    Predicted,
    Profile,
    derived,
    derived_for,
    headroom,
    load,
    rounded_up,
    save,
)
from pipeline.parity.tolerances import TABLE, Tolerance, line_of, tolerances_for
from tests.unit.pipeline.parity.answers import PROPERTY


def profile(max_error: float = 1e-3, *, noise: float = 0.0, magnitude: float = 1.0, dtype: str = "float32") -> Profile:
    moved = {
        name: Predicted(max_error=max_error, sqnr_db=60.0)
        for name in ("float32", "float16", "int8", "uint8", "dynamic")
    }
    return Profile(
        outputs={"scores": OutputProfile(dtype=dtype, magnitude=magnitude, noise=noise, moved=moved)},
        operations={"Conv2D": 2, "Softmax": 1},
        worst_case_ulps=1495,
        samples=360,
    )


def test_the_bounds_are_the_prediction_with_its_headroom() -> None:
    """Otherwise "derived" would be a word."""
    line = line_of(Format.TFLITE, Precision.FLOAT16)
    found = derived(line, Format.TFLITE, Precision.FLOAT16, "scores", profile(1.23e-3))
    assert found is not None
    assert found.atol == pytest.approx(3.7e-3)
    assert found.rtol == pytest.approx(4 * 2.0**-23, rel=0.01)
    # 60 dB less 9.5, which is no other than the table's: 3 times the amplitude.
    assert (found.sqnr_db, found.predicted) == (50, 1.23e-3)
    assert (found.top1, found.accuracy_drop, found.reason) == (line.top1, line.accuracy_drop, line.reason)
    assert "rounding this model's graph as float16 does moves" in found.source
    assert "moves the output by 0.0013 on 360 samples (2 Conv2D, 1 Softmax; at worst 1495 float32 ULP" in found.source


def test_the_halves_in_which_a_model_computes_are_named() -> None:
    """Otherwise nobody would see why a float32 artifact is allowed a thousandth."""
    line = line_of(Format.TFLITE, Precision.FLOAT16)
    half = msgspec.structs.replace(profile(1.23e-3), computed_in="bfloat16")
    found = derived(line, Format.TFLITE, Precision.FLOAT16, "scores", half)
    assert found is not None
    assert "graph as float16 does, and rounding to bfloat16 as the model does, moves the output by" in found.source


def test_the_references_own_noise_is_a_floor() -> None:
    """Otherwise a model that hardly rounds would fail for the way in which its reference was computed."""
    found = derived(
        line_of(Format.TFLITE, Precision.FLOAT32), Format.TFLITE, Precision.FLOAT32, "scores", profile(1e-9, noise=1e-5)
    )
    assert found is not None
    assert found.atol == pytest.approx(2e-5, rel=0.05)


@pytest.mark.parametrize(
    ("noise", "counted"),
    [
        pytest.param(9e-4, 9e-4, id="another order of sums"),
        pytest.param(0.5, 1e-3, id="another answer, beside a graph that rounds"),
    ],
)
def test_an_export_that_answers_otherwise_is_no_noise(noise: float, counted: float) -> None:
    """Its graph would widen the bounds that it has to keep, until it keeps them."""
    line = line_of(Format.SAVED_MODEL, Precision.FLOAT32)
    found = derived(line, Format.SAVED_MODEL, Precision.FLOAT32, "scores", profile(1e-4, noise=noise))
    assert found is not None
    assert found.atol == pytest.approx(headroom(Precision.FLOAT32) * counted, rel=0.05)


def test_a_graph_that_cannot_be_tried_out_is_believed_what_the_table_allows() -> None:
    """An operation without a bound is not moved at all, and rounds otherwise in another place all the same."""
    line = line_of(Format.SAVED_MODEL, Precision.FLOAT32)
    found = derived(line, Format.SAVED_MODEL, Precision.FLOAT32, "scores", profile(0.0, noise=1.0, magnitude=100.0))
    assert found is not None
    assert found.atol == pytest.approx(headroom(Precision.FLOAT32) * (1e-5 + 100 * 1e-5), rel=0.05)


def test_noise_without_a_prediction_for_float32_is_believed_what_the_table_allows() -> None:
    """Nothing else is known of how far float32 rounds there."""
    line, whole = line_of(Format.TFJS, Precision.FLOAT16), profile(0.0, noise=0.9, magnitude=100.0)
    narrow = msgspec.structs.replace(
        whole.outputs["scores"], moved={"tfjs float16": Predicted(max_error=0.0, sqnr_db=None)}
    )
    found = derived(
        line, Format.TFJS, Precision.FLOAT16, "scores", msgspec.structs.replace(whole, outputs={"scores": narrow})
    )
    assert found is not None
    assert found.atol == pytest.approx(headroom(Precision.FLOAT16) * (1e-5 + 100 * 1e-5), rel=0.05)


@pytest.mark.parametrize(("dtype", "ulp"), [("float32", 2.0**-23), ("float16", 2.0**-10), ("bfloat16", 2.0**-7)])
def test_one_unit_in_the_last_place_of_the_largest_value_is_always_allowed(dtype: str, ulp: float) -> None:
    """Otherwise a graph that rounding does not move at all could never agree."""
    line = line_of(Format.TFJS, Precision.UINT8)
    found = derived(line, Format.TFJS, Precision.UINT8, "scores", profile(0.0, magnitude=100.0, dtype=dtype))
    assert found is not None
    assert 100 * ulp <= found.atol <= 110 * ulp


def test_a_step_of_the_precision_is_always_allowed_and_the_noise_of_less_is_not_asked_for() -> None:
    """A sound int8 file of a model without weights would fail: what is quantized there, the emulation does not know."""
    line = line_of(Format.TFLITE, Precision.INT8)
    found = derived(line, Format.TFLITE, Precision.INT8, "scores", profile(1e-7, magnitude=10.0))
    assert found is not None
    assert found.atol == pytest.approx(headroom(Precision.INT8) * 10 / 255, rel=0.1)
    assert found.sqnr_db == line.sqnr_db


def test_the_steps_of_int8_outputs_are_allowed_for() -> None:
    """Otherwise an artifact with integer outputs would fail for having them."""
    found = derived(
        line_of(Format.TFLITE, Precision.INT8_IO), Format.TFLITE, Precision.INT8_IO, "scores", profile(0.01)
    )
    assert found is not None
    assert found.atol == pytest.approx(headroom(Precision.INT8_IO) * (0.01 + 1 / 255), rel=0.1)


def test_what_was_not_tried_keeps_the_line_of_the_table() -> None:
    """Otherwise an output would be judged by nothing."""
    line = line_of(Format.TFJS, Precision.UINT16)
    assert derived(line, Format.TFJS, Precision.UINT16, "scores", profile()) is None
    assert derived(line, Format.TFJS, Precision.UINT8, "boxes", profile()) is None
    found = tolerances_for(Format.TFJS, Precision.UINT16, {}, outputs=("scores",), derived={})
    assert found == {"scores": line}


def test_a_profile_or_the_reason_why_there_is_none_is_kept(tmp_path: Path) -> None:
    """Otherwise judging again would need TensorFlow."""
    for found in (profile(), NoProfile(unavailable="ValueError: a table of words")):
        save(found, tmp_path / "profile.json")
        assert load(tmp_path / "profile.json") == found


def derived_from(
    found: OutputProfile, precision: Precision = Precision.FLOAT16, kind: Format = Format.TFLITE
) -> Tolerance:
    whole = Profile(outputs={"scores": found}, operations={}, worst_case_ulps=0, samples=1)
    return derived_for(kind, precision, ("scores",), whole)["scores"]


def moved_by(
    max_error: float,
    sqnr_db: float | None = 70.0,
    *,
    magnitude: float = 1.0,
    noise: float = 0.0,
    dtype: str = "float32",
) -> OutputProfile:
    """Moved so far in every precision, but not in those that only TF.js has."""
    moved = {str(precision): Predicted(max_error=max_error, sqnr_db=sqnr_db) for precision in Precision}
    moved["tfjs float16"] = Predicted(max_error=max_error / 8, sqnr_db=sqnr_db)
    return OutputProfile(dtype=dtype, magnitude=magnitude, noise=noise, moved=moved)


def test_what_is_calibrated_on_other_samples_is_given_more_and_float32_less() -> None:
    """Otherwise sound int8 files would fail on samples beyond their ranges (docs/tolerances.md has up to 3.1), and a
    float32 gate would be ten times looser than what is ever observed.
    """
    assert {precision: headroom(precision) for precision in Precision} == {
        precision: 2.0 if precision is Precision.FLOAT32 else 5.0 if precision in CALIBRATED_PRECISIONS else 3.0
        for precision in Precision
    }


def test_the_noise_floor_follows_the_prediction() -> None:
    """Otherwise an output that is a little wrong everywhere would be within bounds of single values."""
    line = line_of(Format.TFLITE, Precision.FLOAT16)
    step = 2.0**-11
    assert derived_from(moved_by(1e-2)).sqnr_db == 60.0
    assert derived_from(moved_by(step)).sqnr_db == 60.0
    assert derived_from(moved_by(step * 0.99)).sqnr_db == line.sqnr_db
    assert derived_from(moved_by(1e-2, None)).sqnr_db == line.sqnr_db


def test_no_noise_floor_is_above_what_rtol_leaves() -> None:
    """A sound float32 file failed with 139.8 dB of 142, and no value was off by more than rtol allows."""
    assert derived_from(moved_by(1e-6, 148.0), Precision.FLOAT32).sqnr_db == 126
    assert derived_from(moved_by(1e-6, 130.0), Precision.FLOAT32).sqnr_db == 123
    assert derived_from(moved_by(1e-3, 90.0, dtype="float16"), Precision.FLOAT32).sqnr_db == 48


def test_tfjs_has_a_prediction_of_its_own_for_float16_and_no_least_step() -> None:
    """Otherwise its bound would be TFLite's, which rounds other constants."""
    found = derived_from(moved_by(8e-5), kind=Format.TFJS)
    assert found.predicted == pytest.approx(1e-5)
    assert derived_from(moved_by(8e-5)).predicted == pytest.approx(2.0**-11)


def test_samples_that_were_left_out_are_said() -> None:
    """Otherwise a bound of four samples would look like one of all."""
    cut = msgspec.structs.replace(profile(), left_out=356)
    source = derived_for(Format.TFLITE, Precision.FLOAT16, ("scores",), cut)["scores"].source
    assert "on 360 samples, 356 more would have taken over a minute (2 Conv2D" in source


def test_only_outputs_that_were_tried_are_derived_for() -> None:
    """Otherwise a label beside the scores would be given bounds of nothing."""
    assert set(derived_for(Format.TFLITE, Precision.INT8, ("scores", "label"), profile())) == {"scores"}
    assert derived_for(Format.TFLITE, Precision.INT8, ("scores",), None) == {}


SIZE = st.floats(1e-9, 1e6)


@PROPERTY
@given(
    precision=st.sampled_from(list(Precision)), kind=st.sampled_from([Format.TFLITE, Format.TFJS]),
    less=st.tuples(SIZE, SIZE, SIZE), more=st.tuples(SIZE, SIZE, SIZE),
)  # fmt: skip
def test_bounds_grow_with_the_prediction_the_magnitude_and_the_noise(
    precision: Precision, kind: Format, less: tuple[float, float, float], more: tuple[float, float, float]
) -> None:
    """Otherwise a model that rounds more could be held to less."""
    if (kind, precision) not in TABLE:
        return
    low, high = (
        derived_from(moved_by(error, magnitude=magnitude, noise=noise), precision, kind)
        for error, magnitude, noise in (less, tuple(map(max, less, more)))
    )
    assert low.atol <= high.atol
    assert low.rtol == high.rtol
    if precision is Precision.INT8:
        # Its inputs and outputs are rounded on top of all else.
        error, magnitude, noise = less
        assert derived_from(moved_by(error, magnitude=magnitude, noise=noise), Precision.INT8_IO).atol >= low.atol


@PROPERTY
@given(
    precision=st.sampled_from(list(Precision)), kind=st.sampled_from([Format.TFLITE, Format.TFJS]),
    error=SIZE, magnitude=SIZE, noise=SIZE, dtype=st.sampled_from(["float16", "bfloat16", "float32", "float64"]),
)  # fmt: skip
def test_a_bound_is_never_below_what_rounding_did_nor_far_above_its_largest_reason(
    *, precision: Precision, kind: Format, error: float, magnitude: float, noise: float, dtype: str
) -> None:
    """Otherwise the very graph that was rounded would fail, or a bound would be loose for no reason."""
    if (kind, precision) not in TABLE:
        return
    profiled = moved_by(error, magnitude=magnitude, noise=noise, dtype=dtype)
    found = derived_from(profiled, precision, kind)
    emulated = profiled.moved["tfjs float16" if (kind, precision) == (Format.TFJS, Precision.FLOAT16) else precision]
    ulp = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(dtype, 2.0**-23) * magnitude
    in_float32, general = profiled.moved[Precision.FLOAT32], line_of(kind, Precision.FLOAT32)
    credible = min(noise, max(10 * in_float32.max_error, general.atol + general.rtol * magnitude))
    reasons = [headroom(precision) * max(emulated.max_error, credible), ulp]
    assert found.atol >= max(reasons)
    if kind is Format.TFJS:
        assert found.atol <= max(reasons) * 1.1
    narrower = derived_from(moved_by(error, magnitude=magnitude, noise=noise), precision, kind)
    assert found.atol >= narrower.atol
    assert found.rtol >= narrower.rtol


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_what_is_not_finite_is_not_rounded(value: float) -> None:
    """Otherwise a model whose answers overflow would end in an error of decimal arithmetic."""
    assert rounded_up(value) == value


@pytest.mark.parametrize(
    ("value", "up"), [(1.23e-6, 1.3e-6), (1.2e-6, 1.2e-6), (0.0991, 0.1), (9.99e5, 1e6), (0.0, 0.0), (3e-323, 3e-323)]
)
def test_bounds_are_rounded_up(value: float, up: float) -> None:
    """Otherwise a bound as printed would not pass what it was made from."""
    assert rounded_up(value) == pytest.approx(up)
    assert rounded_up(value) >= value
