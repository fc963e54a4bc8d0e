"""Tolerances follow from the model's own rounding, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.artifact import Format, Precision
from pipeline.parity.profile import (
    NoProfile,
    OutputProfile,
    Predicted,
    Profile,
    derived,
    headroom,
    load,
    rounded_up,
    save,
)
from pipeline.parity.tolerances import line_of, tolerances_for


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
    assert (found.sqnr_db, found.predicted) == (50, 1.23e-3)
    assert (found.top1, found.accuracy_drop, found.reason) == (line.top1, line.accuracy_drop, line.reason)
    assert "moves the output by 0.0013 on 360 samples (2 Conv2D, 1 Softmax; at worst 1495 float32 ULP" in found.source


def test_the_references_own_noise_is_a_floor() -> None:
    """Otherwise a model that hardly rounds would fail for the way in which its reference was computed."""
    found = derived(
        line_of(Format.TFLITE, Precision.FLOAT32), Format.TFLITE, Precision.FLOAT32, "scores", profile(1e-9, noise=1e-5)
    )
    assert found is not None
    assert found.atol == pytest.approx(3e-5, rel=0.05)


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


@pytest.mark.parametrize(
    ("value", "up"), [(1.23e-6, 1.3e-6), (1.2e-6, 1.2e-6), (0.0991, 0.1), (9.99e5, 1e6), (0.0, 0.0), (3e-323, 3e-323)]
)
def test_bounds_are_rounded_up(value: float, up: float) -> None:
    """Otherwise a bound as printed would not pass what it was made from."""
    assert rounded_up(value) == pytest.approx(up)
    assert rounded_up(value) >= value
