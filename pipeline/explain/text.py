"""An explanation for a terminal, and as JSON."""

from __future__ import annotations

import math

from pipeline.explain.explanation import Difference, Explanation, Line

_HEADS = ("layer", "alone", "in the artifact", "may be", "")
_PROBLEM_CHARACTERS = 200


def as_text(explanation: Explanation) -> str:
    """A line for each compared tensor, in the artifact's order, then the finding."""
    rows = [_HEADS, *(_cells(line) for line in explanation.lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    table = [_aligned(row, widths) for row in rows]
    notes = [
        f"  {line.layer}: {line.isolated.problem[:_PROBLEM_CHARACTERS]}"
        for line in explanation.lines
        if line.isolated.problem is not None
    ]
    head = f"{explanation.model} on {explanation.target} {explanation.precision}: {explanation.samples} samples"
    return "\n".join([head, "", *table, *notes, "", explanation.sentence, *explanation.remarks])


def layers_shown(line: Line) -> str:
    """The layers of a line as one: those that were fused joined by `+`."""
    return " + ".join(line.layers)


def shown(difference: Difference) -> str:
    """The relative error, and its signal to noise ratio in dB; a dash when no number says it."""
    if difference.relative is None:
        return "-"
    if difference.relative == 0.0:
        return "0"
    return f"{difference.relative:.1e} ({-20 * math.log10(difference.relative):.0f} dB)"


def _cells(line: Line) -> tuple[str, ...]:
    mark = "<- out of line" if line.out_of_line else ""
    return layers_shown(line), shown(line.isolated), shown(line.propagated), f"{line.limit:.1e}", mark


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    first, *rest = row
    cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest[:-1], widths[1:-1], strict=True))]
    return "  ".join([*cells, rest[-1]]).rstrip()
