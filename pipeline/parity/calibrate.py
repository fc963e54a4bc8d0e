"""Proposes bounds from what was observed, each with its reason; what its precision does not explain is not proposed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from pipeline.parity.comparison import OutputComparison
from pipeline.parity.figures import NumericFigures
from pipeline.parity.intervals import wilson
from pipeline.parity.profile import HEADROOM, headroom, rounded_up
from pipeline.parity.report import wording
from pipeline.parity.report.report import Report
from pipeline.parity.row import Row
from pipeline.parity.status import Fail, Inconclusive
from pipeline.parity.tolerances import Tolerance
from pipeline.parity.values import Value


class Bounds(Value, frozen=True):
    """What is written for one line; the keys are those of `[tolerances]` in tripoint.toml."""

    reason: str
    atol: float | None = None
    rtol: float | None = None
    sqnr_db: float | None = None
    top1: float | None = None
    accuracy_drop: float | None = None
    constant: bool | None = None


class Proposal(Value, frozen=True):
    """One output of one line. `refused` says why there are no `bounds` for it.

    `observed` is the largest error of all its targets, `noise` the largest noise floor, `predicted` what the precision
    explains; None where there is no such figure.
    """

    line: str
    targets: int
    observed: float | None
    predicted: float | None
    noise: float | None
    in_force: float
    bounds: Bounds | None = None
    refused: str | None = None


def proposals(report: Report) -> tuple[Proposal, ...]:
    """One for each output of each line that ran somewhere, in the order of the report."""
    by_line: dict[tuple[str, str], list[Row]] = {}
    for row in report.rows:
        if row.comparison is not None:
            for output in row.tolerances:
                by_line.setdefault((f"{row.format}/{row.precision}", output), []).append(row)
    day = report.provenance.made_at[:10]
    return tuple(
        _proposal(f"{line}/{output}", output, rows, samples=report.samples.count, day=day)
        for (line, output), rows in by_line.items()
    )


def _proposal(line: str, output: str, rows: Sequence[Row], *, samples: int, day: str) -> Proposal:
    tolerance = rows[0].tolerances[output]
    compared = [one for row in rows for one in _of(row, output)]
    figures = [one.figures for one in compared if isinstance(one.figures, NumericFigures)]
    noises = [
        repeat.noise
        for row in rows
        for repeat in (row.comparison.repeats if row.comparison is not None else ())
        if repeat.output == output and repeat.noise is not None
    ]
    observed = max((one.max_error for one in figures), default=None)
    noise = max(noises, default=None)
    proposal = Proposal(
        line=line,
        targets=len(rows),
        observed=observed,
        predicted=tolerance.predicted,
        noise=noise,
        in_force=tolerance.atol,
    )
    refused = _refused(rows, observed, noise, tolerance)
    if refused is not None or observed is None:
        return msgspec.structs.replace(proposal, refused=refused or "this output is not of floats: it must be equal")
    return msgspec.structs.replace(
        proposal,
        bounds=Bounds(
            reason=(
                f"calibrated on {day}: {HEADROOM:g} x the largest error of {wording.counted(len(rows), 'target')} on "
                f"{wording.counted(samples, 'sample')} ({wording.error(observed)}"
                + (
                    ""
                    if tolerance.predicted is None
                    else f"; the precision explains {wording.error(tolerance.predicted)}"
                )
                + ("" if noise is None else f"; noise floor {wording.error(noise)}")
                + ")"
            ),
            atol=rounded_up(HEADROOM * max(observed, noise or 0.0)),
            # A general rtol would go on being as loose as it was.
            rtol=tolerance.rtol if tolerance.predicted is not None else 0.0,
            sqnr_db=_sqnr(figures),
            top1=_top1(compared, tolerance),
        ),
    )


def _refused(rows: Sequence[Row], observed: float | None, noise: float | None, tolerance: Tolerance) -> str | None:
    for row in rows:
        if isinstance(row.status, Fail):
            return f"{row.label} differs: find the fault first, or a bound would only hide it"
        if isinstance(row.status, Inconclusive):
            return f"{row.label} is inconclusive: {row.status.reason}"
    if observed == 0:
        return "all answers are equal, which gives no measure; the bounds stay as they are"
    if noise is not None and not math.isfinite(noise):
        return "a target does not repeat itself: NaN comes and goes"
    times = headroom(rows[0].precision)
    if observed is not None and tolerance.predicted is not None and observed > times * tolerance.predicted:
        return (
            f"the largest error ({wording.error(observed)}) is more than {times:g} x what the precision explains "
            f"({wording.error(tolerance.predicted)}): find out why first"
        )
    return None


def _of(row: Row, output: str) -> Iterator[OutputComparison]:
    if row.comparison is not None:
        for batch in row.comparison.batches:
            yield from (one for one in batch.outputs if one.output == output)


def _sqnr(figures: Sequence[NumericFigures]) -> float | None:
    lowest = min(one.sqnr_db for one in figures)
    return math.floor(lowest - 20 * math.log10(HEADROOM)) if math.isfinite(lowest) else None


def _top1(compared: Sequence[OutputComparison], tolerance: Tolerance) -> float | None:
    """The lower end of Wilson's interval, in thousandths; never looser than what is in force."""
    scores = [one.scores for one in compared if one.scores is not None]
    if not scores:
        return None
    low = min(wilson(one.decisions - one.clear_flips, one.decisions).low for one in scores)
    return max(math.floor(low * 1000) / 1000, tolerance.top1 or 0.0)


def as_text(found: Sequence[Proposal]) -> str:
    """A table, and below it why some line has no proposal."""
    rows = [("line", "predicted", "observed", "noise", "atol now", "atol", "rtol", "SQNR dB", "top-1")]
    for one in found:
        bounds = one.bounds
        rows.append(
            (
                one.line,
                wording.error(one.predicted),
                wording.error(one.observed),
                wording.error(one.noise),
                wording.error(one.in_force),
                *(
                    ("-",) * 4
                    if bounds is None
                    else (
                        wording.error(bounds.atol),
                        wording.error(bounds.rtol),
                        "-" if bounds.sqnr_db is None else f"{bounds.sqnr_db:g}",
                        "-" if bounds.top1 is None else f"{bounds.top1:g}",
                    )
                ),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "\n".join([*lines, *(f"{one.line}: {one.refused}" for one in found if one.refused is not None)])


def as_toml(by_model: Mapping[str, Mapping[str, Bounds]]) -> str:
    """The whole tolerances.toml: a table for each line of each model."""
    parts = [
        "# Written by `tripoint calibrate --write`; `tripoint run` and `parity` enforce it. tripoint.toml goes over it."
    ]
    for model, lines in by_model.items():
        for line, bounds in lines.items():
            values = {name: value for name, value in msgspec.to_builtins(bounds).items() if value is not None}
            body = "\n".join(f"{name} = {_toml(value)}" for name, value in values.items())
            parts.append(f"[{json.dumps(model)}.{json.dumps(line)}]\n{body}")
    return "\n\n".join(parts) + "\n"


def _toml(value: object) -> str:
    # JSON's strings are TOML's basic strings, and its numbers TOML's.
    return json.dumps(value)
