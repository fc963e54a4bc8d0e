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
    ("named", "hint"), [("score", "did you mean `tflite/int8/scores`?"), ("x", "its outputs are scores")]
)
def test_an_override_of_an_output_that_is_not_there_is_refused(named: str, hint: str) -> None:
    """Otherwise a misspelt override would silently do nothing."""
    with pytest.raises(UsageError) as refusal:
        tolerances_for(Format.TFLITE, Precision.INT8, {f"tflite/int8/{named}": Set(atol=1.0)}, outputs=("scores",))
    assert refusal.value.hint == hint


def test_what_the_table_does_not_know_is_refused() -> None:
    """Otherwise something would be compared under no rule."""
    with pytest.raises(UsageError, match="no tolerance is known for tfjs/int8") as refusal:
        tolerance_for(Format.TFJS, Precision.INT8, {})
    assert "tfjs/uint8" in refusal.value.hint


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
