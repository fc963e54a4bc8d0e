"""Which failing rows need no experiment: those that their precision explains."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.core.artifact import Format, Precision
from pipeline.diagnosing import _within_precision
from pipeline.parity.findings import AccuracyDropped, SqnrTooLow, Top1TooLow
from pipeline.parity.row import Row
from pipeline.parity.status import Fail, Found
from pipeline.parity.tolerances import line_of

_FLIPS = Top1TooLow(output="scores", clear_flips=2, near_ties=0, decisions=12, floor=0.95)
_NOISE = SqnrTooLow(output="scores", sqnr_db=12.0, floor_db=20.0)


def _row(*findings: Top1TooLow | AccuracyDropped | SqnrTooLow, predicted: float | None) -> Row:
    tolerance = msgspec.structs.replace(line_of(Format.TFLITE, Precision.INT8), predicted=predicted)
    return Row(
        target="edge/litert",
        format=Format.TFLITE,
        precision=Precision.INT8,
        status=Fail(findings=tuple(Found(finding=one, batch_sizes=(1,)) for one in findings)),
        tolerances={"scores": tolerance},
    )


def test_decisions_alone_are_explained_by_the_precision() -> None:
    """Three minutes of experiments on a large model would end with `no known cause fits`, where there is no fault."""
    found = _within_precision(_row(_FLIPS, predicted=0.03))
    assert found is not None
    assert (found.cause, found.tried) == ("within_precision", 0)
    assert "as near as int8 lets this model's be" in found.sentence


@pytest.mark.parametrize(
    "row",
    [_row(_FLIPS, _NOISE, predicted=0.03), _row(_NOISE, predicted=0.03), _row(_FLIPS, predicted=None)],
    ids=["values too", "values only", "nothing was predicted"],
)
def test_values_beyond_what_was_predicted_are_looked_into(row: Row) -> None:
    """A fault that also changes decisions would be called rounding."""
    assert _within_precision(row) is None
