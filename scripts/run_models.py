"""`make models`: every model of ours on every target, in one table of verdicts. Exits as the worst of them does."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.runtime import EdgeProcess
from pipeline import config, main_job, model_files
from pipeline.core.errors import ExitStatus, TripointError
from pipeline.core.progress import nobody
from pipeline.parity.row import Row
from pipeline.parity.status import Error, Fail, Inconclusive, Skip, word
from pipeline.standing import Standing, standing
from web_demo.runtime import Browser


@dataclass(frozen=True, kw_only=True)
class Line:
    """One model: its report's rows, or why there is no report."""

    model: str
    rows: tuple[Row, ...]
    status: ExitStatus
    seconds: float
    problem: str = ""


def main() -> None:
    """Run the models named, or all of them, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="names; all without one")
    parser.add_argument("--target", action="append", default=[], help="only such targets, as `browser/*`")
    asked = parser.parse_args()
    project = config.load(Path.cwd())
    names = asked.models or sorted(model_files.model_files(project))
    lines = []
    with (
        tempfile.TemporaryDirectory(prefix="tripoint-models-") as scratch,
        standing(
            logs=project.store_path / "logs", scratch=Path(scratch), observer=nobody, kept=(EdgeProcess, Browser)
        ) as shared,
    ):
        for name in names:
            print(f"{name} ...", file=sys.stderr, flush=True)
            lines.append(run(name, project, only=tuple(asked.target), shared=shared))
    print(table(lines))
    sys.exit(max(int(line.status) for line in lines))


def run(name: str, project: config.Config, *, only: tuple[str, ...], shared: Standing) -> Line:
    started = time.perf_counter()
    try:
        job = main_job.job(model_files.known(name, project), project, only=only)
        report = main_job.run(job, observer=nobody, shared=shared).report
    except TripointError as error:
        return Line(
            model=name,
            rows=(),
            status=error.exit_status,
            seconds=time.perf_counter() - started,
            problem=f"{error.problem}; {error.hint}",
        )
    return Line(model=name, rows=report.rows, status=report.verdict.exit_status, seconds=time.perf_counter() - started)


def table(lines: Sequence[Line]) -> str:
    """A row a model, a column a target: how many of its precisions agree; below, why the others do not."""
    targets = list(dict.fromkeys(row.target for line in lines for row in line.rows))
    widths = [max(len(target), 6) for target in targets]
    head = "".join(f"  {target:>{width}}" for target, width in zip(targets, widths, strict=True))
    text = [f"{'model':<12}{'seconds':>8}{head}"]
    reasons = []
    for line in lines:
        cells = []
        for target, width in zip(targets, widths, strict=True):
            words = [word(row.status) for row in line.rows if row.target == target]
            agree = f"{words.count('PASS')} of {len(words)}" if words else "-"
            cells.append(f"  {agree:>{width}}")
        text.append(f"{line.model:<12}{line.seconds:>8.0f}{''.join(cells)}")
        if line.problem:
            reasons.append(f"{line.model}: {line.problem}")
        reasons += [f"{line.model} {row.label}: {word(row.status)}: {why(row)}" for row in line.rows if why(row)]
    return "\n".join([*text, "", *reasons])


def why(row: Row) -> str:
    match row.status:
        case Fail(findings=findings):
            return "; ".join(found.finding.sentence for found in findings)
        case Error(problem=problem):
            return problem.split("\n", 1)[0]
        case Skip(reason=reason) | Inconclusive(reason=reason):
            return reason
        case _:
            return ""


if __name__ == "__main__":
    main()
