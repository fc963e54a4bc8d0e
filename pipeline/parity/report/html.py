"""The report as one HTML file that needs nothing else: no request, and no script to read it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.wording import capitalized
from pipeline.parity.comparison import OutputComparison
from pipeline.parity.figures import NO_CLASS, Answer, NumericFigures
from pipeline.parity.findings import bound
from pipeline.parity.report import pictures, wording
from pipeline.parity.report.report import Report, TensorFacts
from pipeline.parity.report.summary import Summary, loose_gates, summary_of, worst_output
from pipeline.parity.row import Row
from pipeline.parity.status import Fail, Word, word
from pipeline.parity.values import Value

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"
_URGENCY: tuple[Word, ...] = ("FAIL", "ERROR", "INCONCLUSIVE", "SKIPPED", "PASS")
_MARKS: dict[Word, str] = {"PASS": "✓", "FAIL": "✗", "ERROR": "!", "INCONCLUSIVE": "?", "SKIPPED": "-"}


class Line(Value, frozen=True):
    """A row and what the template shows of it. `worst` is its output that uses most of its tolerance."""

    anchor: str
    row: Row
    word: Word
    mark: str
    summary: Summary
    explained: tuple[str, ...]
    cause: tuple[str, ...]
    worst: OutputComparison | None

    @property
    def figures(self) -> NumericFigures | None:
        figures = None if self.worst is None else self.worst.figures
        return figures if isinstance(figures, NumericFigures) else None

    @property
    def tolerance_used(self) -> str:
        """How much of its tolerance the worst value uses, in words; empty when no value was measured."""
        if self.figures is None:
            return ""
        if math.isnan(self.summary.max_error or 0.0):
            return "not finite alike"
        if isinstance(self.row.status, Fail) and self.figures.tolerance_used <= 1:
            # Values are not what fails here.
            return wording.kind(self.row.status.findings[0].finding)
        return "exactly equal" if self.summary.max_error == 0 else wording.used(self.figures.tolerance_used)


class Trouble(Value, frozen=True):
    """Lines that are wrong in the same way: one file on several targets, the same findings, one cause."""

    lines: tuple[Line, ...]
    command: str

    @property
    def word(self) -> Word:
        return self.lines[0].word

    @property
    def mark(self) -> str:
        return self.lines[0].mark

    @property
    def cause(self) -> tuple[str, ...]:
        return self.lines[0].cause

    @property
    def explained(self) -> tuple[str, ...]:
        return self.lines[0].explained


def render_html(report: Report) -> str:
    """One self-contained HTML page."""
    lines = [_line(position, row) for position, row in enumerate(report.rows, start=1)]
    figures = [line.figures for line in lines if line.figures is not None]
    atols = [tolerance.atol for row in report.rows for tolerance in row.tolerances.values()]
    lanes: dict[str, list[Line]] = {}
    for line in lines:
        lanes.setdefault(line.row.target, []).append(line)
    return (
        _environment(report)
        .get_template("report.html.j2")
        .render(
            report=report,
            lines=lines,
            lanes=lanes,
            precisions=list(dict.fromkeys(str(row.precision) for row in report.rows)),
            troubled=_troubled(report, lines),
            axis=pictures.axis_of((figure.histogram for figure in figures), atols),
            samples={shown.sample: shown for shown in report.samples.shown},
            loose=loose_gates(report),
            longest_stage=max((stage.seconds for stage in report.stages), default=0.0),
        )
    )


def _troubled(report: Report, lines: Sequence[Line]) -> list[Trouble]:
    """What is wrong, the most urgent first, each way of being wrong once."""
    alike: dict[object, list[Line]] = {}
    for line in lines:
        if line.explained:
            cause = None if line.row.diagnosis is None else line.row.diagnosis.cause
            # Of different files the same cause is two things to mend.
            alike.setdefault((line.word, cause, line.row.digest, line.explained), []).append(line)
    found = [Trouble(lines=tuple(each), command=_command(report, each[0])) for each in alike.values()]
    return sorted(found, key=lambda trouble: _URGENCY.index(trouble.word))


def _command(report: Report, line: Line) -> str:
    """What tells more of a line that differs, as it is typed."""
    if line.word != "FAIL":
        return ""
    return f"tripoint explain {report.model.name} {line.row.target} {line.row.precision}"


def _line(position: int, row: Row) -> Line:
    status = word(row.status)
    return Line(
        anchor=f"row-{position}",
        row=row,
        word=status,
        mark=_MARKS[status],
        summary=summary_of(row),
        explained=tuple(wording.explained(row.status)),
        cause=tuple(wording.probable_cause(row.diagnosis)),
        worst=worst_output(row),
    )


def _environment(report: Report) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        # The names that templates end with do not tell Jinja that this is HTML.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "error": wording.error,
        "decibels": wording.decibels,
        "share": wording.share,
        "milliseconds": wording.milliseconds,
        "size": wording.size,
        "used": wording.used,
        "value": wording.value,
        "agreement": wording.agreement,
        "interval": wording.interval,
        "points": wording.points,
        "steps": wording.steps,
        "noise": wording.noise,
        "capitalized": capitalized,
        "bound": bound,
        "shape": _shape,
    }
    environment.globals |= {
        "histogram_bars": pictures.histogram_bars,
        "answer_bars": pictures.answer_bars,
        "octave_bars": pictures.octave_bars,
        "class_called": partial(_class_called, report),
        "element_name": partial(_element_name, report),
        "smallest_atol": partial(_smallest_atol, report),
    }
    return environment


def _class_called(report: Report, index: int) -> str:
    """The name of a class, its index where the report has no name for it."""
    if index == NO_CLASS:
        return "no class"
    return report.model.classes[index] if 0 <= index < len(report.model.classes) else str(index)


def _element_name(report: Report, output: str, answer: Answer) -> str:
    """What an element of an answer is called: its class when the output scores classes, else its index."""
    if output == report.model.scores_output and len(answer.place) == 1:
        return _class_called(report, answer.place[0])
    return ", ".join(map(str, answer.place)) or "value"


def _smallest_atol(report: Report, format_name: str, precision: str, output: str) -> float | None:
    """The atol that would have passed one output of every line that this tolerance judged."""
    found = [
        compared.figures.smallest_atol
        for row in report.rows
        if (row.format, row.precision) == (format_name, precision) and row.comparison is not None
        for batch in row.comparison.batches
        for compared in batch.outputs
        if compared.output == output and isinstance(compared.figures, NumericFigures)
    ]
    return max(found, default=None)


def _shape(spec: TensorFacts) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in spec.shape)}]"
