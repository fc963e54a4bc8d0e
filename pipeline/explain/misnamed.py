"""Points that do not hold what their name says: told from faults by leaving them out.

Converters name a fused operation after a part of it now and then: TFLite calls a layer's sum with its bias `MatMul`.
Such a point looks wrong, and so does what is fed with the value that its name promises. But when it is left out, what
comes after it is right, which it would not be after a fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from pipeline.explain.explanation import Difference
from pipeline.explain.measure import Broke, Laboratory
from pipeline.explain.points import Point
from pipeline.explain.rule import EXPECTED, difference, limits, out_of_line

Values = Sequence[NDArray[Any] | Broke]

_MOST_IN_A_ROW = 3
# Behind a fault there may be misnamed points as well; but where everything is wrong, nobody looks for names.
_MOST_FAULTS = 3


def without_misnamed(laboratory: Laboratory) -> tuple[Laboratory, Values]:
    """The laboratory without points that hold something else than their name says, and the isolated values there."""
    values: Values = laboratory.isolated()
    faults: list[Point] = []
    while len(faults) < _MOST_FAULTS:
        wrong = [point for point in _grossly_wrong(laboratory, values) if point not in faults]
        if not wrong:
            break
        left = _left_out(laboratory, wrong[0])
        if left is None:
            faults.append(wrong[0])
        else:
            laboratory, values = left
    return laboratory, values


def _left_out(laboratory: Laboratory, suspect: Point) -> tuple[Laboratory, Values] | None:
    """What is measured without the suspect, and without misnamed points right after it; None when it is a fault."""
    dropped = [suspect]
    while len(dropped) <= _MOST_IN_A_ROW:
        trial = replace(laboratory, points=[point for point in laboratory.points if point not in dropped])
        after = _after(laboratory, dropped)
        if not after:
            return None
        values = trial.isolated()
        wrong = [point for point in _grossly_wrong(trial, values) if point in after]
        if not wrong:
            return trial, values
        dropped.append(wrong[0])
    return None


def _after(laboratory: Laboratory, dropped: Sequence[Point]) -> list[Point]:
    """The points that are made of a dropped one."""
    graph = laboratory.graph
    stops = frozenset(point.node.handle for point in laboratory.points)
    gone = {point.node.handle for point in dropped}
    return [
        point
        for point in laboratory.points
        if point not in dropped and not gone.isdisjoint(graph.nearest(point.node.handle, stops))
    ]


def _grossly_wrong(laboratory: Laboratory, values: Values) -> list[Point]:
    differences = [
        difference(value, laboratory.truth[point.operation])
        for value, point in zip(values, laboratory.points, strict=True)
    ]
    bounds = limits(differences, laboratory.artifact.precision)
    ceiling = EXPECTED[laboratory.artifact.precision].ceiling
    return [
        point
        for point, each, limit in zip(laboratory.points, differences, bounds, strict=True)
        if out_of_line(each, limit) and _gross(each, ceiling)
    ]


def _gross(each: Difference, ceiling: float) -> bool:
    return each.relative is None or each.relative > ceiling
