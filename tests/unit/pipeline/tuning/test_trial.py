"""Which variants are worth a look, and which is the smallest that is good enough."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from pipeline.core.artifact import Format, Precision
from pipeline.tuning.budget import Quality, parsed
from pipeline.tuning.picture import svg
from pipeline.tuning.trial import Trial, frontier, smallest


def trial(size: int | None, sqnr: float | None, precision: Precision = Precision.INT8, *kept: str) -> Trial:
    quality = None if sqnr is None else Quality(top1=None, reference_top1=None, agreement=None, sqnr_db=sqnr)
    problem = "refused" if sqnr is None else None
    return Trial(
        format=Format.TFLITE, precision=precision, kept=kept, size_bytes=size, quality=quality, problem=problem
    )


WHOLE = trial(400, float("inf"), Precision.FLOAT32)
HALF = trial(200, 70.0, Precision.FLOAT16)
WORSE = trial(210, 60.0, Precision.DYNAMIC)
SMALL = trial(100, 30.0)
ALMOST = trial(130, 45.0, Precision.INT8, "features")
BROKEN = trial(None, None, Precision.INT16X8)
ALL = (WHOLE, HALF, WORSE, SMALL, ALMOST, BROKEN)


@pytest.mark.parametrize(("bound", "want"), [("20", SMALL), ("40", ALMOST), ("50", HALF), ("80", WHOLE)])
def test_the_smallest_that_is_good_enough_is_taken(bound: str, want: Trial) -> None:
    """One that is not the smallest wastes what tuning is for; one that is not good enough breaks what it promised."""
    assert smallest(ALL, [parsed(f"sqnr>={bound}")]) is want


def test_none_is_taken_when_none_is_good_enough() -> None:
    """A variant that was never made has no size, and would be the smallest of all."""
    assert smallest([SMALL, BROKEN], [parsed("sqnr>=40")]) is None


def test_the_frontier_has_what_no_other_beats() -> None:
    """A variant that is both larger and worse than another is no choice."""
    assert frontier(ALL) == [SMALL, ALMOST, HALF, WHOLE]


def test_the_picture_is_whole_and_names_what_counts() -> None:
    """An SVG that does not parse is a blank page; infinite SQNR has to be drawn somewhere."""
    picture = svg(ALL, [ALMOST], title="a < b")
    root = ET.fromstring(picture)  # noqa: S314  # ours
    dots = [node for node in root.iter() if node.tag.endswith("circle") and node.get("r") == "4"]
    assert len(dots) == 5
    assert all(0 <= float(node.get("cx", "nan")) <= 860 and 0 <= float(node.get("cy", "nan")) <= 420 for node in dots)
    names = {node.text for node in root.iter() if node.tag.endswith("text")}
    assert {"int8", "int8 + 1", "float16", "float32"} <= names
    assert "dynamic" not in names
