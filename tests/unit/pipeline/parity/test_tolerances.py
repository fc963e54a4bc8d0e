"""One table of tolerances, loosened only by name and with a reason."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.artifact import TFJS_PRECISIONS, TFLITE_PRECISIONS, Format, Precision
from pipeline.core.errors import UsageError
from pipeline.parity.findings import bound
from pipeline.parity.tolerances import TABLE, Tolerance, tolerance_for, tolerances_for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Set:
    """What a user sets."""

    reason: str = "measured on our device"
    atol: float | None = None
    rtol: float | None = None
    sqnr_db: float | None = None
    top1: float | None = None
    accuracy_drop: float | None = None
    constant: bool | None = None


def test_every_artifact_that_is_made_has_a_tolerance_with_reason_and_source() -> None:
    """Otherwise a precision would be converted that cannot be judged."""
    made = {(Format.SAVED_MODEL, Precision.FLOAT32)}
    made |= {(Format.TFLITE, precision) for precision in TFLITE_PRECISIONS}
    made |= {(Format.TFJS, precision) for precision in TFJS_PRECISIONS}
    assert set(TABLE) == made
    assert all(tolerance.reason and tolerance.source for tolerance in TABLE.values())


def test_an_override_changes_what_it_names_and_says_so() -> None:
    """Otherwise a report would show a bound without telling who set it."""
    tolerance = tolerance_for(Format.TFLITE, Precision.INT8, {"tflite/int8": Set(atol=0.5)})
    table = TABLE[Format.TFLITE, Precision.INT8]
    assert (tolerance.atol, tolerance.rtol, tolerance.sqnr_db) == (0.5, table.rtol, table.sqnr_db)
    assert tolerance.reason == "measured on our device"
    assert tolerance.source == 'tolerances."tflite/int8" in the config'
    assert tolerance_for(Format.TFLITE, Precision.FLOAT32, {"tflite/int8": Set(atol=0.5)}).atol == 1e-5


def test_an_override_of_one_output_goes_over_that_of_the_line() -> None:
    """Otherwise one noisy output would loosen all."""
    overrides = {"tfjs/uint8": Set(atol=0.3, rtol=0.0), "tfjs/uint8/boxes": Set(atol=2.0, constant=True)}
    found = tolerances_for(Format.TFJS, Precision.UINT8, overrides, outputs=("scores", "boxes"))
    assert {name: (one.atol, one.rtol, one.constant) for name, one in found.items()} == {
        "scores": (0.3, 0.0, False),
        "boxes": (2.0, 0.0, True),
    }


@pytest.mark.parametrize(
    ("named", "hint"), [("score", "did you mean `tflite/int8/scores`?"), ("x", "its outputs are scores, label")]
)
def test_an_override_of_an_output_that_is_not_there_is_refused(named: str, hint: str) -> None:
    """Otherwise a misspelt override would silently do nothing."""
    overrides, outputs = {f"tflite/int8/{named}": Set(atol=1.0)}, ("scores", "label")
    with pytest.raises(UsageError, match=f'"tflite/int8/{named}": the model has no output `{named}`') as refusal:
        tolerances_for(Format.TFLITE, Precision.INT8, overrides, outputs=outputs)
    assert refusal.value.hint == hint


def test_what_was_derived_is_the_base_and_what_is_set_goes_over_it() -> None:
    """Otherwise deriving, or setting, a bound would change nothing."""
    own = Tolerance(atol=0.07, rtol=0.0, sqnr_db=33.0, reason="derived", source="derived")
    found = tolerances_for(
        Format.TFLITE,
        Precision.INT8,
        {"tflite/int8": Set(rtol=0.5)},
        outputs=("scores", "boxes"),
        derived={"scores": own},
    )
    assert (found["scores"].atol, found["scores"].rtol, found["scores"].sqnr_db) == (0.07, 0.5, 33.0)
    assert (found["boxes"].atol, found["boxes"].rtol) == (TABLE[Format.TFLITE, Precision.INT8].atol, 0.5)


@pytest.mark.parametrize(
    ("computed_in", "least"), [("float16", (1e-2, 1e-3, 50.0)), ("bfloat16", (8e-2, 1.6e-2, 32.0))]
)
def test_a_reference_that_rounds_widens_every_bound_that_is_narrower(
    computed_in: str, least: tuple[float, float, float]
) -> None:
    """Otherwise a target would fail for computing more exactly than the model that it is held against."""
    found = tolerances_for(Format.TFLITE, Precision.FLOAT32, {}, outputs=("y",), computed_in=computed_in)["y"]
    assert (found.atol, found.rtol, found.sqnr_db) == least
    assert (found.top1, found.accuracy_drop) == (0.99, 0.005)
    assert found.reason.endswith(f"fused and reordered kernels; the reference itself computes in {computed_in}")


def test_what_was_derived_for_a_reference_that_rounds_keeps_its_own_bounds() -> None:
    """The profile knows the noise of halves: outputs of 0.001 would be judged by a hundredth, and any fault pass."""
    own = Tolerance(atol=1e-5, rtol=1e-6, sqnr_db=70.0, top1=1.0, accuracy_drop=0.0, reason="r", source="s")
    found = tolerance_for(Format.TFLITE, Precision.FLOAT32, {}, base=own, computed_in="float16")
    assert (found.atol, found.rtol, found.sqnr_db, found.top1) == (1e-5, 1e-6, 70.0, 0.99)
    assert found.reason == "r; the reference itself computes in float16"


def test_a_reference_that_rounds_narrows_nothing_and_asks_nothing_new() -> None:
    """Otherwise the loosest line would become stricter, or an output that is no score be asked for its best class."""
    loose = Tolerance(atol=0.5, rtol=0.4, sqnr_db=10.0, top1=0.9, accuracy_drop=0.2, reason="r", source="s")
    bare = Tolerance(atol=0.0, rtol=0.0, reason="r", source="s")
    found, other = (
        tolerance_for(Format.TFLITE, Precision.INT8, {}, base=base, computed_in="float16") for base in (loose, bare)
    )
    assert (found.atol, found.rtol, found.sqnr_db, found.top1, found.accuracy_drop) == (0.5, 0.4, 10.0, 0.9, 0.2)
    assert (other.sqnr_db, other.top1, other.accuracy_drop) == (None, None, None)
    assert tolerance_for(Format.TFLITE, Precision.INT8, {}, base=bare) == bare


def test_what_the_table_does_not_know_is_refused() -> None:
    """Otherwise something would be compared under no rule."""
    with pytest.raises(UsageError, match="no tolerance is known for tfjs/int8") as refusal:
        tolerance_for(Format.TFJS, Precision.INT8, {})
    assert refusal.value.hint.startswith("the known ones are saved_model/float32, tflite/float32, ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("atol", -1.0),
        ("rtol", float("inf")),
        ("atol", float("nan")),
        ("top1", 1.5),
        ("accuracy_drop", -0.1),
        ("sqnr_db", float("nan")),
        ("sqnr_db", float("-inf")),
    ],
)
def test_a_bound_that_switches_the_check_off_is_refused(name: str, value: float) -> None:
    """Otherwise NaN or infinity as a bound would make every comparison pass."""
    bounds: dict[str, Any] = {"atol": 1e-3, "rtol": 1e-3, name: value}
    with pytest.raises(UsageError, match=f"a tolerance's {name} cannot be"):
        Tolerance(**bounds, reason="for the test", source="the test")
    override = dataclasses.replace(Set(), **{name: value})  # type: ignore[arg-type]  # any of its bounds
    with pytest.raises(UsageError, match=f"a tolerance's {name} cannot be"):
        tolerance_for(Format.TFLITE, Precision.INT8, {"tflite/int8": override})


def test_the_page_about_tolerances_shows_the_table(repository: Path) -> None:
    """Otherwise the documentation would promise other bounds than those that are enforced."""
    page = (repository / "docs" / "tolerances.md").read_text()
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in page.splitlines() if line.startswith("| `")]
    shown = {row[0].strip("`"): row[1:6] for row in rows}
    assert shown == {
        "/".join(key): [
            bound(tolerance.atol),
            bound(tolerance.rtol),
            "-" if tolerance.sqnr_db is None else f"{tolerance.sqnr_db:g}",
            "-" if tolerance.top1 is None else f"{tolerance.top1:.1%}".replace("%", " %"),
            "-" if tolerance.accuracy_drop is None else f"{tolerance.accuracy_drop:.1%}".replace("%", " %"),
        ]
        for key, tolerance in TABLE.items()
    }


@pytest.mark.parametrize(
    ("name", "value", "must_be"),
    [
        ("atol", -1.0, "0 or more, and finite"),
        ("top1", 1.5, "between 0 and 1"),
        ("sqnr_db", float("inf"), "finite"),
    ],
)
def test_what_is_refused_is_named_with_what_it_may_be(name: str, value: float, must_be: str) -> None:
    """Otherwise a user would have to look up what a bound may be."""
    bounds: dict[str, Any] = {"atol": 1e-3, "rtol": 1e-3, name: value}
    with pytest.raises(UsageError) as refused:
        Tolerance(**bounds, reason="for the test", source="the test")
    assert (str(refused.value), refused.value.hint) == (
        f"a tolerance's {name} cannot be {value}",
        f"make it {must_be}",
    )
