"""The few figures of a line that its table cells show: the worst over all outputs and batch sizes."""

from __future__ import annotations

import math

from pipeline.parity.comparison import OutputComparison
from pipeline.parity.figures import NumericFigures
from pipeline.parity.findings import NonFiniteDiffers
from pipeline.parity.report import wording
from pipeline.parity.report.report import Report
from pipeline.parity.row import Row
from pipeline.parity.values import Value


class Summary(Value, frozen=True):
    """None where a line has no such figure. `milliseconds` are per sample, at the largest batch size."""

    max_error: float | None = None
    sqnr_db: float | None = None
    top1_agreement: float | None = None
    accuracy: float | None = None
    milliseconds: float | None = None


class LooseGate(Value, frozen=True):
    """A line of the table of tolerances that is far looser than what any target of this report needed."""

    format: str
    precision: str
    note: str


def summary_of(row: Row) -> Summary:
    """The worst figures of a line; NaN when the two sides are not finite in the same places."""
    if row.comparison is None:
        return Summary()
    outputs = [output for batch in row.comparison.batches for output in batch.outputs]
    numeric = [output.figures for output in outputs if isinstance(output.figures, NumericFigures)]
    scores = [output.scores for output in outputs if output.scores is not None]
    odd = any(isinstance(finding, NonFiniteDiffers) for output in outputs for finding in output.findings)
    times = [batch.milliseconds_per_sample for batch in row.comparison.batches]
    return Summary(
        # Figures of the finite values alone would read as if nothing had happened.
        max_error=math.nan if odd else max((figures.max_error for figures in numeric), default=None),
        sqnr_db=math.nan if odd else min((figures.sqnr_db for figures in numeric), default=None),
        top1_agreement=min((figures.top1_agreement for figures in scores), default=None),
        accuracy=min((figures.accuracy for figures in scores if figures.accuracy is not None), default=None),
        milliseconds=times[-1] if times else None,
    )


def worst_output(row: Row) -> OutputComparison | None:
    """The output, at the batch size, that uses most of its tolerance; a structural difference before any value."""
    if row.comparison is None:
        return None
    outputs = [output for batch in row.comparison.batches for output in batch.outputs]
    return max(outputs, key=_badness, default=None)


def loose_gates(report: Report) -> tuple[LooseGate, ...]:
    """The gates that are loose for every output of every line that they judged, with the tightest line's note."""
    by_gate: dict[tuple[str, str], list[OutputComparison]] = {}
    for row in report.rows:
        if row.comparison is not None:
            outputs = [output for batch in row.comparison.batches for output in batch.outputs]
            by_gate.setdefault((str(row.format), str(row.precision)), []).extend(outputs)
    gates = []
    for (name, precision), outputs in by_gate.items():
        measured = [output for output in outputs if output.findings or _differs(output)]
        notes = [output.loose for output in sorted(measured, key=_badness) if output.loose is not None]
        if measured and len(notes) == len(measured):
            gates.append(LooseGate(format=name, precision=precision, note=notes[-1]))
    return tuple(gates)


def _differs(output: OutputComparison) -> bool:
    return isinstance(output.figures, NumericFigures) and output.figures.max_error > 0


def _badness(output: OutputComparison) -> tuple[bool, bool, float]:
    used = output.figures.tolerance_used if isinstance(output.figures, NumericFigures) else 0.0
    return output.figures is None, bool(output.findings), used


def trust_of(report: Report) -> tuple[str, ...]:
    """How far the figures can be trusted, in sentences: what was asked again, and the least accuracy that was kept."""
    compared = [(row, row.comparison) for row in report.rows if row.comparison is not None]
    sentences = []
    asked = sum(repeat.asked for _, comparison in compared for repeat in comparison.repeats)
    noises = [(comparison.noise_floor, row) for row, comparison in compared if comparison.noise_floor is not None]
    if asked and noises:
        noise, noisiest = max(noises, key=lambda one: one[0])
        where = f" ({noisiest.label})" if noise > 0 else ""
        sentences.append(
            f"asked again: {wording.counted(asked, 'answer')}; largest noise floor {wording.error(noise)}{where}"
        )
    kept = [
        (output.scores.paired, row)
        for row, comparison in compared
        for batch in comparison.batches
        for output in batch.outputs
        if output.scores is not None and output.scores.paired is not None
    ]
    shares = [(paired.kept, paired.kept_interval, row) for paired, row in kept]
    least = min((one for one in shares if one[0] is not None), key=lambda one: one[0] or 0.0, default=None)
    if least is not None and least[0] is not None and least[1] is not None:
        sentences.append(
            f"accuracy kept: at least {100 * least[0]:.2f} % of the reference's ({least[2].label}; "
            f"95 %: {wording.interval(least[1])})"
        )
    return tuple(sentences)
