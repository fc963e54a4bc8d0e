"""The library behind `tripoint run`, `parity`, `train`, `export`, `convert` and `report`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pipeline.adoption import Adopted
from pipeline.cells import Cell
from pipeline.config import Config, ExportConfig
from pipeline.core.errors import ConversionFailed, ExitStatus, UsageError
from pipeline.core.outcome import Errored
from pipeline.core.progress import Observer
from pipeline.model_files import Known
from pipeline.parity.report.report import Report
from pipeline.parity.report.report_json import report_from_json
from pipeline.parity.report.text import render_text
from pipeline.parity.report.write import REPORT_JSON, write_report
from pipeline.plan import training_settings
from pipeline.preflighting import preflight_of_run, write_preflight
from pipeline.recipes import PREFLIGHT, PROFILE
from pipeline.release import publish
from pipeline.reporting import report_of, write_evidence
from pipeline.source_digest import source_digest
from pipeline.standing import Standing
from pipeline.steps import Result
from pipeline.store import Entry, Recipe, Store
from pipeline.workflow import Job, Ran, Until, alone_with, run_alone, run_steps

_REPORT = "report"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A report, where it and the artifacts lie, and what was made anew on the way."""

    report: Report
    release: Path
    made: Sequence[str]
    seconds: float

    @property
    def exit_status(self) -> ExitStatus:
        return self.report.verdict.exit_status


def job(
    file: Known,
    config: Config,
    *,
    engine: str | None = None,
    image: str | None = None,
    only: tuple[str, ...] = (),
    allow_missing: bool = False,
    epochs: int | None = None,
    seed: int | None = None,
    resume: bool = False,
    from_artifacts: bool = False,
    until: Until = "record",
    input_checks: bool | None = None,
    lowering: bool | None = None,
) -> Job:
    """What tripoint.toml says, changed by what was asked on the command line.

    Raises UsageError when an adopted model is asked to be trained.
    """
    if isinstance(file, Adopted) and (epochs is not None or seed is not None or resume):
        raise UsageError(
            f"{file.name} was adopted, and is not trained here", hint="leave out --epochs, --seed and --resume"
        )
    config = config.of_model(file.name)
    serve = msgspec.structs.replace(
        config.serve,
        **({} if engine is None else {"engine": engine}),
        **({} if image is None else {"image": image}),
    )
    return Job(
        file=file,
        config=msgspec.structs.replace(
            config,
            serve=serve,
            export=config.export if input_checks is None else ExportConfig(input_checks=input_checks),
            convert=config.convert if lowering is None else msgspec.structs.replace(config.convert, lowering=lowering),
        ),
        training=training_settings(config, file.name, epochs=epochs, seed=seed, resume=resume),
        only=only,
        allow_missing=allow_missing,
        from_artifacts=from_artifacts,
        until=until,
    )


def run(asked: Job, *, observer: Observer, shared: Standing | None = None) -> Finished:
    """Bring everything up to date, judge it, write the report and the release. Raises as `run_steps` does."""
    with alone_with(asked, observer=observer):
        ran = run_steps(asked, observer=observer, shared=shared)
        store = Store(root=asked.config.store_path)
        reported = _reported(ran, asked, store)
        report = report_from_json((reported.path / REPORT_JSON).read_text())
        release = publish(ran, reported, model=asked.file.name, into=asked.config.build_path)
    return Finished(report=report, release=release, made=ran.made, seconds=ran.seconds)


def _reported(ran: Ran, asked: Job, store: Store) -> Entry:
    """The report of these outcomes under these tolerances: judged and written only when there is none yet."""
    recipe = Recipe(
        model=asked.file.name,
        stage=_REPORT,
        ingredients={
            "outcomes": {cell.name: _identity(ran, cell) for cell in ran.cells},
            "preflight": _digest(ran.artifacts[PREFLIGHT]),
            "tolerances": msgspec.to_builtins(asked.config.tolerances_of(asked.file.name)),
            "profile": _profile_identity(ran),
            "sources": source_digest(
                "pipeline/parity",
                "pipeline/preflight",
                "pipeline/preflighting.py",
                "pipeline/diagnosis",
                "pipeline/diagnosing.py",
                "pipeline/evidence.py",
                "pipeline/reporting.py",
            ),
        },
    )
    found = store.find(recipe)
    if isinstance(found, Entry):
        return found
    report = report_of(ran, asked.config, asked.file.name)
    with store.making(recipe) as making:
        write_report(report, making.folder)
        write_preflight(preflight_of_run(ran, asked.file.name, asked.config), making.folder)
        write_evidence(report, ran, making.folder)
    made = store.find(recipe)
    if not isinstance(made, Entry):
        raise TypeError(f"the report that was just written cannot be found again: {made}")
    return made


def _profile_identity(ran: Ran) -> str | None:
    found = ran.artifacts.get(PROFILE)
    return found.digest if isinstance(found, Entry) else None


def _digest(result: Result) -> str:
    return result.digest if isinstance(result, Entry) else result.problem


def _identity(ran: Ran, cell: Cell) -> str:
    if cell.name in ran.skipped:
        return f"skipped: {ran.skipped[cell.name].reason}"
    match ran.recordings[cell.step]:
        case Errored(problem=problem):
            return f"errored: {problem}"
        case Entry(digest=digest):
            return digest


def as_text(finished: Finished, *, width: int, colour: bool) -> str:
    """The report as a table, then where things lie, then what had to be done for it."""
    did = f"made {len(finished.made)} steps anew" if finished.made else "everything was up to date: nothing was run"
    return "\n".join(
        [
            render_text(finished.report, width=width, colour=colour).rstrip(),
            "",
            f"report     {finished.release / _REPORT / 'report.html'}",
            f"artifacts  {finished.release}",
            f"{did}, in {finished.seconds:.1f} s",
        ]
    )


def as_json(finished: Finished) -> str:
    """One JSON object: the verdict, what part of a model it is about, and where the full report lies."""
    verdict = msgspec.to_builtins(finished.report.verdict)
    return json.dumps(
        {
            "verdict": verdict,
            "after": list(finished.report.model.after),
            "report": str(finished.release / _REPORT / REPORT_JSON),
            "artifacts": str(finished.release),
            "made": list(finished.made),
            "seconds": finished.seconds,
        },
        indent=2,
    )


def bring_up_to_date(asked: Job, *, observer: Observer) -> dict[str, Any]:
    """Make what the stages up to `asked.until` lack; by step name, where it lies and what is known of it.

    Raises ConversionFailed with the first refusal when a conversion failed.
    """
    ran = run_alone(asked, observer=observer)
    failed = [result for result in ran.artifacts.values() if isinstance(result, Errored)]
    if failed:
        raise ConversionFailed(failed[0].problem, hint=failed[0].hint)
    return {
        name: {
            "path": str(entry.path),
            "bytes": entry.size_bytes,
            "digest": entry.digest,
            "made_now": name in ran.made,
            **entry.facts,
        }
        for name, entry in ran.artifacts.items()
        if isinstance(entry, Entry)
    }


def made_as_text(made: dict[str, Any]) -> str:
    lines = []
    for name, facts in made.items():
        state = f"{facts['seconds']:.1f} s" if facts["made_now"] else "up to date"
        lines.append(f"{name:<24}{facts['bytes'] / 1000:>10.1f} kB  {state:<12}{facts['path']}")
    return "\n".join(lines)


def made_as_json(made: dict[str, Any]) -> str:
    return json.dumps(made, indent=2)


def last_report(file: Known, config: Config, *, form: str) -> tuple[str, ExitStatus]:
    """The report of the last run in another form, and the exit status of that run. Raises UsageError if none ran."""
    from pipeline.parity.report.write import FORMS

    folder = config.build_path / file.name / _REPORT
    if not (folder / REPORT_JSON).is_file():
        raise UsageError(f"there is no report of {file.name} yet", hint=f"make one with `tripoint run {file.name}`")
    report = report_from_json((folder / REPORT_JSON).read_text())
    status = report.verdict.exit_status
    if form == "path":
        return str(folder / "report.html"), status
    return FORMS[form](report), status
