"""The report for a terminal or a log: a table to read at a glance, then sentences, then the verdict."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pipeline.parity.findings import percent
from pipeline.parity.report import wording
from pipeline.parity.report.report import Report
from pipeline.parity.report.summary import loose_gates, summary_of, trust_of
from pipeline.parity.status import Word, word

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STYLES: dict[Word, str] = {
    "PASS": "green",
    "FAIL": "bold red",
    "ERROR": "bold red",
    "INCONCLUSIVE": "yellow",
    "SKIPPED": "yellow",
}
_NARROW = 100
_NARROWED = {
    "precision": "prec.",
    "max error": "max err",
    "SQNR dB": "dB",
    "top-1 %": "top-1",
    "acc. %": "acc.",
    "ms/sample": "ms",
}


def render_text(report: Report, *, width: int = 120, colour: bool = False) -> str:
    """The report in lines of at most `width` columns where words allow; without `colour` free of escape sequences."""
    from rich.console import Console

    lines = io.StringIO()
    console = Console(
        file=lines,
        width=width,
        force_terminal=colour,
        no_color=not colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    _print_head(console, report)
    if report.rows:
        narrow = width < _NARROW
        # The wide table's frame has its own blank lines.
        console.print(*([""] if narrow else []), _table(report, narrow=narrow), *([""] if narrow else []), sep="\n")
    _print_explanations(console, report)
    for sentence in trust_of(report):
        console.print(sentence, style="dim", soft_wrap=True)
    for gate in loose_gates(report):
        console.print(f"note: {gate.format} {gate.precision}: {gate.note}", style="dim", soft_wrap=True)
    verdict = report.verdict
    console.print(verdict.headline, style="bold green" if verdict.agrees else "bold red", soft_wrap=True)
    return "\n".join(line.rstrip() for line in lines.getvalue().splitlines()) + "\n"


def _print_head(console: Console, report: Report) -> None:
    reference = report.reference
    accuracy = "" if reference.accuracy is None else f", accuracy {percent(reference.accuracy)}"
    console.print(
        f"{report.model.name}: {wording.counted(report.samples.count, 'sample')} ({report.samples.description}); "
        f"reference {reference.runtime} {reference.version}{accuracy}",
        soft_wrap=True,
    )
    for note in report.notes:
        console.print(f"note: {note}", style="dim", soft_wrap=True)


def _table(report: Report, *, narrow: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None if narrow else box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("target", "precision"):
        table.add_column(_NARROWED.get(heading, heading) if narrow else heading, no_wrap=True)
    for heading in ("size", "max error", "SQNR dB", "top-1 %", "acc. %", "ms/sample"):
        table.add_column(_NARROWED.get(heading, heading) if narrow else heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    above = ""
    for row in report.rows:
        summary, status = summary_of(row), word(row.status)
        table.add_row(
            row.target if row.target != above else "",
            str(row.precision),
            wording.size(row.size_bytes),
            wording.error(summary.max_error),
            wording.decibels(summary.sqnr_db),
            wording.share(summary.top1_agreement),
            wording.share(summary.accuracy),
            wording.milliseconds(summary.milliseconds),
            Text("INCONCL." if narrow and status == "INCONCLUSIVE" else status, style=_STYLES[status]),
        )
        above = row.target
    return table


def _print_explanations(console: Console, report: Report) -> None:
    for row in report.rows:
        sentences = [*wording.explained(row.status), *wording.probable_cause(row.diagnosis)]
        if sentences:
            console.print(f"{row.label}: {word(row.status)}", style=_STYLES[word(row.status)], soft_wrap=True)
            for sentence in sentences:
                for line in sentence.splitlines():
                    console.print(f"  {line}", soft_wrap=True)
            console.print()
