"""The main job: what is stale is made, every artifact runs in its runtime, the answers are judged, the result kept."""

from __future__ import annotations

import fnmatch
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, assert_never

from pipeline.adoption import ADOPT, Adopted
from pipeline.cells import EXPORT, Cell, beside_step, cells, cells_beside
from pipeline.config import Config
from pipeline.core.artifact import Format, Precision
from pipeline.core.errors import EnvironmentProblem, UsageError
from pipeline.core.outcome import Errored, Outcome, Skipped
from pipeline.core.progress import Observer
from pipeline.core.target import Session, Target
from pipeline.model_files import Known
from pipeline.model_lock import alone
from pipeline.parity import record
from pipeline.plan import Planner
from pipeline.preflight.explain import explained, inventory_in
from pipeline.preflight.judge import obstacles_in_message
from pipeline.preflight.keeping import advice_to_keep, kept_in_app
from pipeline.recipes import PREFLIGHT, PROFILE, TRAIN
from pipeline.stages import TrainSettings
from pipeline.standing import Standing
from pipeline.started import Lanes, running
from pipeline.steps import Result, Step, Survey, Workplace, make_all, survey
from pipeline.store import Entry, Store
from pipeline.targets import targets
from pipeline.workers import workers

Until = Literal["train", "export", "preflight", "tfjs", "convert", "record"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What was asked for. `only` are patterns of target names, `browser/*`; none means all.

    `from_artifacts` refuses to make any artifact; `until` is the last stage that is wanted.
    """

    file: Known
    config: Config
    training: TrainSettings
    only: tuple[str, ...] = ()
    allow_missing: bool = False
    from_artifacts: bool = False
    until: Until = "record"


@dataclass(frozen=True, kw_only=True)
class Ran:
    """Every step's result by its name, every cell's outcome, and the names of the steps that had to be made."""

    artifacts: Mapping[str, Result]
    recordings: Mapping[str, Result]
    skipped: Mapping[str, Skipped]
    cells: tuple[Cell, ...]
    seconds: float
    made: tuple[str, ...]

    def outcome(self, cell: Cell) -> Outcome:
        """What became of the cell; a recording is read from the store at each call."""
        if cell.name in self.skipped:
            return self.skipped[cell.name]
        match self.recordings[cell.step]:
            case Errored() as errored:
                return errored
            case Entry() as entry:
                return record.load(entry.path, entry.facts)

    @property
    def trained(self) -> Entry:
        return _essential(self.artifacts[TRAIN if TRAIN in self.artifacts else ADOPT])

    @property
    def exported(self) -> Entry:
        return _essential(self.artifacts[EXPORT])


def run_alone(job: Job, *, observer: Observer) -> Ran:
    """`run_steps` while no other process does anything with the model. Raises EnvironmentProblem as `alone` does."""
    with alone_with(job, observer=observer):
        return run_steps(job, observer=observer)


def alone_with(job: Job, *, observer: Observer) -> AbstractContextManager[None]:
    """Hold the job's model in its store; the config says whether to wait for another process that does."""
    store = job.config.store
    return alone(job.config.store_path, job.file.name, wait=store.wait, observer=observer)


def run_steps(job: Job, *, observer: Observer, shared: Standing | None = None) -> Ran:
    """Bring every step up to date and return what became of each; `shared` is what several runs have in common.

    The caller holds the model (`alone_with`).

    Raises UsageError for a pattern that matches no target and for artifacts that are not there although
    `from_artifacts`, EnvironmentProblem for a runtime that is not on this machine (unless `allow_missing`), and what
    training or exporting raises. Nothing that it started is left running.
    """
    started = time.perf_counter()
    store = Store(root=job.config.store_path)
    logs = store.root / job.file.name / "logs"
    own = workers(logs=logs, observer=observer) if shared is None else nullcontext(shared.workers)
    with _nothing_half_made(store, job.file.name), own as crew:
        chosen: list[Cell] = []
        if job.until == "record":
            places = chosen_targets(targets(job.config, job.file.name, crew, observer), job.only)
            beside = job.file.beside if isinstance(job.file, Adopted) else ()
            chosen = [*cells(places, job.config), *cells_beside(places, beside)]
        skipped = missing_cells(chosen, allow=job.allow_missing)
        lanes: Lanes = {}
        planner = Planner(file=job.file, config=job.config, training=job.training, store=store, workers=crew)
        runnable = [cell for cell in chosen if cell not in skipped]
        steps = _wanted(_steps(planner, runnable, lanes), job, chosen)
        surveyed = survey(steps, store, observer)
        if surveyed.to_make:
            _refuse_to_make_artifacts(job, surveyed)
            logs.mkdir(parents=True, exist_ok=True)
            stale = {step.name for step in surveyed.to_make}
            stale_cells = [cell for cell in chosen if cell.step in stale]
            with running(planner, surveyed.to_make, stale_cells, lanes=lanes, shared=shared) as lanes_by_step:
                results = make_all(surveyed, Workplace(store=store, lanes=lanes_by_step, observer=observer))
            store.sweep(job.file.name, keep=max(job.config.store.keep, 1))
        else:
            results = dict(surveyed.found)
    results = _explained(results, chosen, job.config)
    recorded = {cell.step for cell in chosen}
    return Ran(
        artifacts={name: result for name, result in results.items() if name not in recorded},
        recordings={name: result for name, result in results.items() if name in recorded},
        skipped={cell.name: reason for cell, reason in skipped.items()},
        cells=tuple(chosen),
        seconds=time.perf_counter() - started,
        made=tuple(step.name for step in surveyed.to_make),
    )


@contextmanager
def _nothing_half_made(store: Store, model: str) -> Iterator[None]:
    """Clear away what a failed run leaves: its threads may be interrupted amid clearing away themselves."""
    try:
        yield
    except BaseException:
        store.clear_aside(model)
        raise


def _wanted(steps: Sequence[Step], job: Job, chosen: Sequence[Cell]) -> list[Step]:
    """Up to the last stage asked for, and no conversion that none of the chosen targets consumes."""
    consumed = {cell.artifact_step for cell in chosen}
    consumed |= {need for step in steps if step.name in consumed for need in step.needs}

    def wanted(step: Step) -> bool:
        match job.until:
            case "train":
                return step.name in (TRAIN, ADOPT)
            case "export":
                return step.name in (TRAIN, ADOPT, EXPORT)
            case "preflight":
                return not step.name.startswith("convert ") and step.name != PROFILE
            case "tfjs":
                return not step.name.startswith(("convert tflite ", PREFLIGHT, PROFILE))
            case "convert":
                return step.name != PROFILE
            case "record":
                return not (job.only and step.name.startswith("convert ") and step.name not in consumed)
            case _:
                assert_never(job.until)

    return [step for step in steps if wanted(step)]


def _refuse_to_make_artifacts(job: Job, surveyed: Survey) -> None:
    no_artifacts = ("record ", PREFLIGHT, PROFILE)
    artifacts = [step.name for step in surveyed.to_make if not step.name.startswith(no_artifacts)]
    if job.from_artifacts and artifacts:
        raise UsageError(
            f"{job.file.name}: not up to date, or not there: {', '.join(artifacts)}",
            hint=f"`tripoint convert {job.file.name}` makes them, `tripoint run {job.file.name}` everything",
        )


def _explained(results: Mapping[str, Result], chosen: Sequence[Cell], config: Config) -> dict[str, Result]:
    """The results, and with every error what preflight knows of the operations that it names."""
    looked, origin = results.get(PREFLIGHT), results.get(ADOPT)
    kinds = {f"convert {kind} ": kind for kind in (Format.TFLITE, Format.TFJS)}
    kinds |= {f"{cell.step} ": cell.target.consumes for cell in chosen}
    failed = {
        name: (result, kind)
        for name, result in results.items()
        for start, kind in kinds.items()
        if isinstance(result, Errored) and f"{name} ".startswith(start)
    }
    if not isinstance(looked, Entry) or not failed:
        return dict(results)
    inventory, lowering = inventory_in(looked.path), config.convert.lowering
    ships = ""
    if isinstance(origin, Entry):
        obstacles = (
            obstacles_in_message(error.problem, kind, inventory, lowering=lowering) for error, kind in failed.values()
        )
        after, command = kept_in_app(itertools.chain.from_iterable(obstacles), origin.facts)
        ships = advice_to_keep(after, command) if after else ""
    return {
        **results,
        **{
            name: explained(error, kind, inventory, lowering=lowering, ships=ships)
            for name, (error, kind) in failed.items()
        },
    }


def _steps(planner: Planner, runnable: Sequence[Cell], lanes: Lanes) -> list[Step]:
    config = planner.config
    consumed = {cell.artifact_step for cell in runnable}

    def session_of(cell: Cell) -> Callable[[], Session]:
        return lambda: lanes[cell.step].session

    # The other precisions are written from the graph in float32.
    tfjs = dict.fromkeys((Precision.FLOAT32, *config.convert.tfjs)) if config.convert.tfjs else ()
    return [
        planner.reference(),
        planner.export(),
        planner.preflight(),
        *(planner.tfjs(precision) for precision in tfjs),
        *(planner.tflite(precision) for precision in config.convert.tflite),
        # After the conversions, for which runtimes wait.
        planner.profile(),
        *(planner.published(beside) for beside in planner.beside if beside_step(beside) in consumed),
        *(planner.record(cell, session_of(cell)) for cell in runnable),
    ]


def chosen_targets(every: Sequence[Target], only: Sequence[str]) -> list[Target]:
    """Those whose names fit a pattern, or all without one. Raises UsageError for a pattern that fits none."""
    for pattern in only:
        if not any(fnmatch.fnmatch(target.name, pattern) for target in every):
            raise UsageError(
                f"no target is called {pattern!r}", hint=f"the targets are {', '.join(target.name for target in every)}"
            )
    return [target for target in every if not only or any(fnmatch.fnmatch(target.name, pattern) for pattern in only)]


def missing_cells(chosen: Sequence[Cell], *, allow: bool) -> dict[Cell, Skipped]:
    """The cells that cannot run on this machine. Raises EnvironmentProblem for one of them unless they are allowed."""
    reasons = {runtime: runtime.missing() for runtime in {cell.target.runtime for cell in chosen}}
    skipped: dict[Cell, Skipped] = {}
    for cell in chosen:
        reason = reasons[cell.target.runtime]
        if reason is None:
            continue
        if not allow:
            raise EnvironmentProblem(
                f"{cell.target.name} cannot run here: {reason}",
                hint="`tripoint doctor` shows all that is missing; --allow-missing goes on without, and says so",
            )
        skipped[cell] = Skipped(reason=reason)
    return skipped


def _essential(result: Result) -> Entry:
    match result:
        case Errored():
            raise RuntimeError(f"an essential step failed without raising: {result.problem}")
        case Entry():
            return result
