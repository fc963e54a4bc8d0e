"""Does a target answer the same question alike: later, in other company, and while others ask."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.outcome import Recording, Repeat
from pipeline.core.signature import Tensors
from pipeline.parity.comparison import RepeatFigures
from pipeline.parity.exact import comparable, scalar
from pipeline.parity.findings import (
    DependsOnBatchMates,
    DependsOnClients,
    Finding,
    NotRepeated,
    RepeatMalformed,
)
from pipeline.parity.tolerances import Tolerance

_LARGEST = np.finfo(np.float64).max


@dataclass(frozen=True, kw_only=True, eq=False)
class _Beside:
    """One repeat of one output beside what was answered at first, [answers, ...]; malformed when they do not fit."""

    rows: NDArray[np.int64]
    want: NDArray[Any]
    first: NDArray[Any]
    later: NDArray[Any]
    right_first: NDArray[np.bool_]
    right_later: NDArray[np.bool_]

    @property
    def changed(self) -> NDArray[np.bool_]:
        return np.asarray(self.right_first != self.right_later)


def repeatability(
    reference: Tensors, recording: Recording, *, tolerances: Mapping[str, Tolerance]
) -> tuple[RepeatFigures, ...]:
    """One line for each output and batch size that was asked again.

    An answer is wrong when any of its values is beyond the output's atol and rtol, or not finite otherwise than the
    reference's. Only a change between right and wrong is a finding; smaller noise is a figure. What several clients or
    other batch mates change is called so only where the same batch, asked alone again, does not change.
    """
    lines = []
    for output in tolerances:
        for size in sorted({repeat.batch_size for repeat in recording.repeats}):
            repeats = [repeat for repeat in recording.repeats if repeat.batch_size == size]
            first = recording.outputs[size].get(output)
            # What is malformed at first already is found by the main comparison.
            if first is not None and first.shape == reference[output].shape and first.ndim:
                lines.append(_line(output, reference[output], first, repeats, tolerances[output]))
    return tuple(lines)


def _line(
    output: str, want: NDArray[Any], first: NDArray[Any], repeats: Sequence[Repeat], tolerance: Tolerance
) -> RepeatFigures:
    size = repeats[0].batch_size
    asked = sum(repeat.rows.size for repeat in repeats)
    for repeat in repeats:
        malformed = _malformed(output, first, repeat)
        if malformed is not None:
            return RepeatFigures(
                output=output,
                batch_size=size,
                asked=asked,
                noise=None,
                mixed=None,
                together=None,
                findings=(malformed,),
            )
    by_kind = {
        kind: [_beside(output, want, first, repeat, tolerance) for repeat in repeats if repeat.kind == kind]
        for kind in ("again", "mixed", "together")
    }
    return RepeatFigures(
        output=output,
        batch_size=size,
        asked=asked,
        noise=_largest(by_kind["again"]),
        mixed=_largest(by_kind["mixed"]),
        together=_largest(by_kind["together"]),
        findings=_findings(output, by_kind),
    )


def _malformed(output: str, first: NDArray[Any], repeat: Repeat) -> RepeatMalformed | None:
    later = repeat.outputs.get(output)
    expected = f"{first.dtype} {[repeat.rows.size, *first.shape[1:]]}"
    if later is None:
        return RepeatMalformed(output=output, first=expected, later="no such output")
    if later.shape != (repeat.rows.size, *first.shape[1:]) or later.dtype.kind != first.dtype.kind:
        return RepeatMalformed(output=output, first=expected, later=f"{later.dtype} {list(later.shape)}")
    return None


def _beside(output: str, want: NDArray[Any], first: NDArray[Any], repeat: Repeat, tolerance: Tolerance) -> _Beside:
    wanted, answered = comparable(want[repeat.rows]), comparable(first[repeat.rows])
    later = comparable(repeat.outputs[output])
    return _Beside(
        rows=repeat.rows,
        want=wanted,
        first=answered,
        later=later,
        right_first=_right(wanted, answered, tolerance),
        right_later=_right(wanted, later, tolerance),
    )


def _right(want: NDArray[Any], got: NDArray[Any], tolerance: Tolerance) -> NDArray[np.bool_]:
    """Which answers are within tolerance in every value, [answers]."""
    if _are_exact(want):
        same = np.asarray(want == got, dtype=bool)
    else:
        distance = _distances(want, got)
        with np.errstate(over="ignore"):
            allowed = tolerance.atol + tolerance.rtol * np.abs(_as_float(want))
        # Bounded, so that an infinite distance is never within it; what is NaN alike has no distance.
        same = distance <= np.where(np.isnan(allowed), tolerance.atol, np.minimum(allowed, _LARGEST))
    return np.asarray(same.reshape(len(want), -1).all(axis=1))


def _findings(output: str, by_kind: Mapping[str, Sequence[_Beside]]) -> tuple[Finding, ...]:
    again = _worst_change(by_kind["again"])
    if again is not None:
        beside, at = again
        return (
            NotRepeated(right_first=bool(beside.right_first[at[0]]), **_facts(output, by_kind["again"], beside, at)),
        )
    found: list[Finding] = []
    mixed, together = _worst_change(by_kind["mixed"]), _worst_change(by_kind["together"])
    if mixed is not None:
        found.append(DependsOnBatchMates(**_facts(output, by_kind["mixed"], *mixed)))
    if together is not None:
        found.append(DependsOnClients(**_facts(output, by_kind["together"], *together)))
    return tuple(found)


def _worst_change(besides: Sequence[_Beside]) -> tuple[_Beside, tuple[int, ...]] | None:
    """Where the answers that changed between right and wrong differ most, or None when none changed."""
    worst: tuple[float, _Beside, tuple[int, ...]] | None = None
    for beside in besides:
        if beside.changed.any():
            distance = _distances(beside.first, beside.later)
            distance[~beside.changed] = -1.0
            at = tuple(map(int, np.unravel_index(int(np.argmax(distance)), distance.shape)))
            if worst is None or distance[at] > worst[0]:
                worst = (float(distance[at]), beside, at)
    return None if worst is None else worst[1:]


def _facts(output: str, besides: Sequence[_Beside], beside: _Beside, at: tuple[int, ...]) -> dict[str, Any]:
    return {
        "output": output,
        "changed": sum(int(np.count_nonzero(one.changed)) for one in besides),
        "asked": sum(one.rows.size for one in besides),
        "place": (int(beside.rows[at[0]]), *at[1:]),
        "want": scalar(beside.want[at]),
        "first": scalar(beside.first[at]),
        "later": scalar(beside.later[at]),
    }


def _largest(besides: Sequence[_Beside]) -> float | None:
    numbers = [beside for beside in besides if beside.first.dtype.kind not in "OSUc" and beside.first.size]
    return max((float(_distances(beside.first, beside.later).max()) for beside in numbers), default=None)


def _distances(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Absolute differences; infinite where one side is not finite and the other not alike, or where text differs."""
    if one.dtype.kind in "OSU":
        return np.where(np.asarray(one == other, dtype=bool), 0.0, math.inf)
    left, right = _as_float(one), _as_float(other)
    with np.errstate(invalid="ignore", over="ignore"):
        alike = (left == right) | (np.isnan(left) & np.isnan(right))
        distance = np.abs(left - right)
    return np.where(alike, 0.0, np.where(np.isfinite(left) & np.isfinite(right), distance, math.inf))


def _as_float(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype.kind == "c" else array.astype(np.float64)


def _are_exact(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "biuOSU"
