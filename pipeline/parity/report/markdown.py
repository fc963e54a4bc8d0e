"""The report as Markdown, for the summary page of a CI job or a comment on a change."""

from __future__ import annotations

from pipeline.parity.findings import percent
from pipeline.parity.report import wording
from pipeline.parity.report.report import Report
from pipeline.parity.report.summary import loose_gates, summary_of
from pipeline.parity.status import Word, word

_MARKS: dict[Word, str] = {"PASS": "✅", "FAIL": "❌", "ERROR": "💥", "INCONCLUSIVE": "❔", "SKIPPED": "⏭️"}


def render_markdown(report: Report) -> str:
    """GitHub-flavoured Markdown: headline, table, findings, notes."""
    mark = "✅" if report.verdict.agrees else "❌"
    lines = [
        f"## {mark} {_escaped(report.model.name)}: {_escaped(report.verdict.headline)}",
        "",
        "| target | precision | size | max error | SQNR dB | top-1 % | accuracy % | ms/sample | verdict |",
        "|:--|:--|--:|--:|--:|--:|--:|--:|:--|",
    ]
    for row in report.rows:
        summary, status = summary_of(row), word(row.status)
        cells = (
            row.target,
            str(row.precision),
            wording.size(row.size_bytes),
            wording.error(summary.max_error),
            wording.decibels(summary.sqnr_db),
            wording.share(summary.top1_agreement),
            wording.share(summary.accuracy),
            wording.milliseconds(summary.milliseconds),
            f"{_MARKS[status]} {status}",
        )
        lines.append(f"| {' | '.join(map(_escaped, cells))} |")
    explained = [(row, [*wording.explained(row.status), *wording.probable_cause(row.diagnosis)]) for row in report.rows]
    for row, sentences in explained:
        if sentences:
            lines += ["", f"**{_escaped(row.label)}**: {word(row.status)}"]
            lines += [f"- {_escaped(line)}" for sentence in sentences for line in sentence.splitlines()]
    gates = loose_gates(report)
    if gates:
        lines += ["", *(f"- {gate.format} {gate.precision}: {_escaped(gate.note)}" for gate in gates)]
    reference = report.reference
    accuracy = "" if reference.accuracy is None else f", accuracy {percent(reference.accuracy)}"
    samples = f"{wording.counted(report.samples.count, 'sample')} ({_escaped(report.samples.description)})"
    compared_with = f"reference {_escaped(reference.runtime)} {_escaped(reference.version)}{accuracy}"
    lines += ["", *(f"- {_escaped(note)}" for note in report.notes)] if report.notes else []
    lines += ["", f"{samples}; {compared_with}; {report.provenance.made_at}"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Text that Markdown and its HTML leave alone, in one table cell."""
    for special in "\\`*_|":
        text = text.replace(special, f"\\{special}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")
