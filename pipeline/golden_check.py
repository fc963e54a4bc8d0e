"""`tripoint parity --golden FILE`: the released artifacts on their targets, held against a file, without TensorFlow."""

from __future__ import annotations

import hashlib
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pipeline import portable_golden
from pipeline.cells import Cell, cells
from pipeline.core.artifact import Artifact, Format
from pipeline.core.errors import ExitStatus, TripointError, UsageError
from pipeline.core.outcome import Errored, Outcome
from pipeline.core.progress import Observer, Progress
from pipeline.core.target import Runtime, Session
from pipeline.main_job import Finished
from pipeline.parity.judge import judge
from pipeline.parity.record import record
from pipeline.parity.report.report import Provenance, Report, Samples
from pipeline.parity.report.shown import shown_samples
from pipeline.parity.report.text import render_text
from pipeline.parity.report.write import write_report
from pipeline.parity.row import Row, row_of
from pipeline.portable_golden import PortableGolden
from pipeline.samples.wanted import batch_sizes_for
from pipeline.targets import targets
from pipeline.workers import workers
from pipeline.workflow import Job, chosen_targets, missing_cells

_RELEASED_GOLDEN = "golden.safetensors"


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The report of a check, and the folder in which it lies."""

    report: Report
    folder: Path

    @property
    def exit_status(self) -> ExitStatus:
        return self.report.verdict.exit_status

    def text(self, *, width: int, colour: bool) -> str:
        """For a terminal."""
        return f"{render_text(self.report, width=width, colour=colour)}\nreport     {self.folder / 'report.html'}"


def save_golden(finished: Finished, file: Path) -> None:
    """Keep the golden of a finished run with all that a check needs. Raises UsageError as `portable_golden.save`."""
    from pipeline import golden

    portable_golden.save(
        PortableGolden(
            golden=golden.load(finished.release / _RELEASED_GOLDEN),
            facts=portable_golden.facts_of(finished.report),
        ),
        file,
    )


def check(asked: Job, file: Path, *, observer: Observer) -> Checked:
    """Ask the artifacts in `build/<model>/` what the golden asks, and judge by its tolerances.

    Neither the store nor the model file is read, nor TensorFlow imported by us. Raises UsageError for a golden that is
    none or another model's, and for artifacts that are not there; EnvironmentProblem for a runtime that is missing.
    """
    started = time.perf_counter()
    portable = portable_golden.load(file)
    model = portable.facts.model.name
    if model != asked.file.name:
        raise UsageError(f"{file} is a golden of {model}, not of {asked.file.name}", hint=f"tripoint parity {model}")
    release = asked.config.build_path / model
    with tempfile.TemporaryDirectory(prefix="tripoint-") as scratch:
        logs = Path(scratch, "logs")
        logs.mkdir()
        with workers(logs=logs, observer=observer) as crew:
            every = cells(chosen_targets(targets(asked.config, model, crew, observer), asked.only), asked.config)
            artifacts = {cell: _released(cell, portable, release) for cell in every}
            outcomes: dict[Cell, Outcome] = dict(missing_cells(every, allow=asked.allow_missing))
            for position, (runtime, own) in enumerate(_by_runtime(every, outcomes).items()):
                place = Path(scratch, str(position))
                place.mkdir()
                sizes = batch_sizes_for(portable.signature, asked.config.parity.batch_sizes)
                own_artifacts = {cell: artifacts[cell] for cell in own}
                outcomes |= _answers(runtime, place, own_artifacts, portable, batch_sizes=sizes, observer=observer)
    rows = tuple(_row(cell, outcomes[cell], artifacts[cell], portable) for cell in every)
    report = _report(rows, portable, file, seconds=time.perf_counter() - started)
    folder = asked.config.build_path / f"{model}-golden"
    write_report(report, folder)
    return Checked(report=report, folder=folder)


def _by_runtime(every: Sequence[Cell], skipped: Mapping[Cell, Outcome]) -> dict[Runtime, list[Cell]]:
    found: dict[Runtime, list[Cell]] = {}
    for cell in every:
        if cell not in skipped:
            found.setdefault(cell.target.runtime, []).append(cell)
    return found


def _answers(
    runtime: Runtime,
    scratch: Path,
    artifacts: Mapping[Cell, Artifact],
    portable: PortableGolden,
    *,
    batch_sizes: Sequence[int],
    observer: Observer,
) -> dict[Cell, Outcome]:
    """What became of each cell of one runtime; a runtime that does not start breaks all of them."""
    found: dict[Cell, Outcome] = {}
    try:
        with runtime.boot(scratch) as session:
            for cell, artifact in artifacts.items():
                observer(Progress(stage=cell.step, message="asking"))
                found[cell] = _answer(session, cell, artifact, portable, batch_sizes)
    except TripointError as error:
        broken = Errored(problem=error.problem, hint=error.hint)
        found = {cell: found.get(cell, broken) for cell in artifacts}
    return found


def _answer(
    session: Session, cell: Cell, artifact: Artifact, portable: PortableGolden, batch_sizes: Sequence[int]
) -> Outcome:
    try:
        with session.load(artifact, cell.target.variant) as runner:
            return record(runner, portable.golden.inputs, batch_sizes=batch_sizes)
    except TripointError as error:
        return Errored(problem=error.problem, hint=error.hint)


def _released(cell: Cell, portable: PortableGolden, release: Path) -> Artifact:
    model = portable.facts.model.name
    match cell.target.consumes:
        case Format.TFLITE:
            path = release / "tflite" / f"{model}-{cell.precision}.tflite"
        case Format.TFJS:
            path = release / "tfjs" / str(cell.precision)
        case _:
            versions = sorted((release / "saved_model" / model).glob("[0-9]*"), key=lambda one: int(one.name))
            path = versions[-1] if versions else release / "saved_model" / model / "1"
    if not path.exists():
        raise UsageError(
            f"{cell.name}: there is no {path}",
            hint="copy the build folder of the run that made the golden here, or choose targets with --target",
        )
    files = sorted(one for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())
    return Artifact(
        model=model,
        format=cell.target.consumes,
        precision=cell.precision,
        path=path,
        signature=portable.signature,
        digest=hashlib.sha256(b"\0".join(one.read_bytes() for one in files)).hexdigest(),
        made_from=None,
        size_bytes=sum(one.stat().st_size for one in files),
    )


def _row(cell: Cell, outcome: Outcome, artifact: Artifact, portable: PortableGolden) -> Row:
    line = f"{cell.target.consumes}/{cell.precision}"
    tolerances = portable.facts.tolerances.get(line)
    if tolerances is None:
        raise UsageError(
            f"the golden has no tolerances for {line}, only for {', '.join(portable.facts.tolerances)}",
            hint="choose targets with --target, or save the golden of a run that has them",
        )
    return row_of(
        outcome,
        target=cell.target.name,
        format=cell.target.consumes,
        precision=cell.precision,
        artifact=artifact,
        reference=portable.golden.reference,
        signature=portable.signature,
        tolerances=tolerances,
        labels=portable.golden.labels,
        scores_output=portable.facts.model.scores_output,
        targets=portable.golden.targets,
    )


def _report(rows: tuple[Row, ...], portable: PortableGolden, file: Path, *, seconds: float) -> Report:
    kept = portable.golden
    return Report(
        model=portable.facts.model,
        reference=portable.facts.reference,
        samples=Samples(
            description=f"golden of {portable.facts.made_at}: {portable.facts.samples}",
            count=len(next(iter(kept.reference.values()))),
            shown=shown_samples(rows, kept.inputs, labels=kept.labels),
        ),
        rows=rows,
        verdict=judge(rows),
        provenance=Provenance(
            made_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            machine={
                "system": platform.platform(),
                "machine": platform.machine(),
                "python": platform.python_version(),
                "seconds": f"{seconds:.1f}",
            },
            versions={"tripoint": version("tripoint")},
            seeds={},
            digests={"golden": hashlib.sha256(file.read_bytes()).hexdigest()},
        ),
    )
