"""The library behind `tripoint explain`, `tripoint repro` and `parity --search`: one artifact on one target."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import golden, main_job, model_files, stages
from pipeline.cells import Cell, artifact_of, cells
from pipeline.config import Config
from pipeline.core.artifact import Artifact, Precision
from pipeline.core.errors import ConversionFailed, EnvironmentProblem, UsageError
from pipeline.core.outcome import Errored
from pipeline.core.progress import Observer, Progress
from pipeline.core.target import Session
from pipeline.explain.explain import Examination, examined
from pipeline.explain.explanation import Explanation
from pipeline.explain.repro import write_repro
from pipeline.explain.search import Found, search
from pipeline.explain.sensitivity import Reference
from pipeline.explain.write import write_explanation
from pipeline.foreign_keras import kept_model
from pipeline.model_files import Known, ModelFile
from pipeline.store import disk_problems_named
from pipeline.targets import targets
from pipeline.workers import Workers, workers
from pipeline.workflow import Ran, chosen_targets, run_alone

DEFAULT_MODEL = "digits"
FOLDER = "explain"
REPRO = "repro"
SEARCH = "search"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What stands on the command line: `[MODEL] TARGET [PRECISION]`."""

    model: str
    target: str
    precision: Precision | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One artifact on one target that is booted, and the trained model that it is compared with."""

    cell: Cell
    artifact: Artifact
    session: Session
    golden: golden.Golden
    keras_file: Path
    file: Known

    @cached_property
    def model(self) -> Any:
        """The trained Keras model. Raises UsageError where there is none: for a model that was adopted as another."""
        if not self.keras_file.is_file():
            raise UsageError(
                f"{self.file.name} is no Keras model here, so it has no layers to compare with",
                hint="explain takes models that are trained here or adopted as .keras files",
            )
        if isinstance(self.file, ModelFile):
            # Before the model: its own layers and models are in there.
            model_files.load(self.file)
        return kept_model(self.keras_file)


def parsed(words: Sequence[str], *, layers: bool = True) -> Asked:
    """`digits edge/litert int8`, `edge/litert int8` or `saved_model` taken apart; quotes around a label do no harm.

    Raises UsageError for what is no target, and for a server when it is about `layers`: it has none of its own.
    """
    parts = " ".join(words).split()
    precision = Precision(parts.pop()) if parts and parts[-1] in list(Precision) else None
    if not parts or len(parts) > 2:
        raise UsageError(
            f"`{' '.join(words)}` is no target of a model",
            hint="name it as the report does: edge/litert int8",
        )
    if layers and parts[-1].startswith("server/"):
        raise UsageError(
            "a server has no layers of its own: it serves the SavedModel",
            hint="name saved_model instead; `tripoint explain` looks into the server",
        )
    return Asked(model=parts[0] if len(parts) == 2 else DEFAULT_MODEL, target=parts[-1], precision=precision)


@contextmanager
def subject(
    asked: Asked, file: Known, config: Config, *, artifact: Path | None, observer: Observer
) -> Iterator[Subject]:
    """Yield the artifact in its runtime, made when it is not up to date; `artifact` takes its place where given.

    Raises UsageError for an unknown target, EnvironmentProblem when its runtime is not here, ConversionFailed when the
    artifact could not be made, and as `run_alone` does.
    """
    ran = run_alone(main_job.job(file, config, until="convert"), observer=observer)
    logs = config.store_path / file.name / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        crew: Workers = stack.enter_context(workers(logs=logs, observer=observer))
        cell = _cell(asked, cells(targets(config, file.name, crew, observer), config))
        missing = cell.target.runtime.missing()
        if missing is not None:
            raise EnvironmentProblem(f"{cell.target.name} cannot run here: {missing}", hint="tripoint doctor")
        made = _artifact(ran, cell, file.name)
        observer(Progress(stage="explain", message=f"starting {cell.target.name}"))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tripoint-explain-")))
        session = stack.enter_context(cell.target.runtime.boot(scratch))
        stack.enter_context(_noise_kept_in(logs / "explain.log"))
        yield Subject(
            cell=cell,
            artifact=made if artifact is None else _instead(made, artifact),
            session=session,
            golden=golden.load(ran.trained.path / golden.GOLDEN_FILE),
            keras_file=ran.trained.path / stages.KERAS_FILE,
            file=file,
        )


def examination(subject: Subject) -> Examination:
    """Where the subject's artifact leaves the trained model."""
    return examined(
        subject.artifact,
        model=subject.model,
        session=subject.session,
        variant=subject.cell.target.variant,
        samples=subject.golden.inputs,
        target=subject.cell.target.name,
        output_names=tuple(subject.golden.reference),
    )


def kept(explanation: Explanation, config: Config) -> Path:
    """Write the explanation into `build/<model>/explain/`; the page's path."""
    into = config.build_path / explanation.model / FOLDER
    with disk_problems_named(into):
        return write_explanation(explanation, into)


def reproduced(subject: Subject, config: Config) -> tuple[Explanation, Path]:
    """Write the smallest case into `build/<model>/repro/<target>-<precision>/`; with what it shows.

    Raises as `examination` and `write_repro` do.
    """
    found = examination(subject)
    into = config.build_path / subject.file.name / REPRO / subject.cell.name.replace("/", "-").replace(" ", "-")
    with disk_problems_named(into):
        return found.explanation, write_repro(found, into)


def searched(subject: Subject, config: Config, *, seconds: float, seed: int) -> tuple[Found, Path]:
    """Look for the inputs on which the subject's target is most wrong; they are kept in `build/<model>/search/`."""
    reference = Reference(
        model=subject.model,
        output_names=tuple(subject.golden.reference),
        inputs=subject.artifact.signature.inputs,
    )
    with subject.session.load(subject.artifact, subject.cell.target.variant) as runner:
        found = search(runner, reference, subject.golden.inputs, seconds=seconds, seed=seed)
    name = subject.cell.name.replace("/", "-").replace(" ", "-")
    file = config.build_path / subject.file.name / SEARCH / f"{name}.safetensors"
    with disk_problems_named(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="aside-", dir=file.parent) as aside:
            kept_aside = Path(aside, file.name)
            golden.save(golden.Golden(inputs=found.inputs, reference=found.expected, labels=None), kept_aside)
            kept_aside.replace(file)
    return found, file


@dataclass(frozen=True, kw_only=True)
class Searches:
    """What was found on each line of the report that was asked for, and the file that keeps the inputs."""

    found: tuple[tuple[str, Found, Path], ...]

    @property
    def text(self) -> str:
        return "\n".join(f"{name}: {found.sentence}\n  inputs  {file}" for name, found, file in self.found)

    @property
    def json(self) -> str:
        """One JSON object, by line; each as `tripoint search --json` has it."""
        return json.dumps({name: json.loads(found.as_json(file)) for name, found, file in self.found}, indent=2)


def searched_on(
    file: Known, config: Config, only: Sequence[str], *, seconds: float, seed: int = 0, observer: Observer
) -> Searches:
    """Search on every line whose target fits one of the patterns `only` (none: all), `seconds` on each.

    Raises UsageError for a pattern that fits no target, and as `subject` does.
    """
    with workers(logs=config.store_path / file.name / "logs", observer=observer) as crew:
        every = targets(config, file.name, crew, observer)
        chosen = cells(chosen_targets(every, only), config)
    found = []
    for cell in chosen:
        asked = Asked(model=file.name, target=cell.target.name, precision=cell.precision)
        with subject(asked, file, config, artifact=None, observer=observer) as one:
            found.append((cell.name, *searched(one, config, seconds=seconds, seed=seed)))
    return Searches(found=tuple(found))


def _cell(asked: Asked, every: Sequence[Cell]) -> Cell:
    on_target = [cell for cell in every if cell.target.name == asked.target]
    if not on_target:
        names = ", ".join(dict.fromkeys(cell.target.name for cell in every))
        raise UsageError(f"no target is called {asked.target!r}", hint=f"the targets are {names}")
    fitting = [cell for cell in on_target if asked.precision in (None, cell.precision)]
    if len(fitting) != 1:
        which = ", ".join(cell.precision for cell in on_target)
        no = "" if asked.precision is None else f", not {asked.precision}"
        raise UsageError(
            f"{asked.target} runs {which}{no}", hint=f"name one of them: {asked.target} {on_target[0].precision}"
        )
    return fitting[0]


def _artifact(ran: Ran, cell: Cell, model: str) -> Artifact:
    made = ran.artifacts[cell.artifact_step]
    if isinstance(made, Errored):
        raise ConversionFailed(made.problem, hint=made.hint)
    return artifact_of(cell.target.consumes, cell.precision, model, exported=ran.exported, made=made)


def _instead(made: Artifact, path: Path) -> Artifact:
    if not path.exists():
        raise UsageError(
            f"there is no artifact at {path}",
            hint="a .tflite file, a TF.js folder or a SavedModel's version folder",
        )
    return replace(made, path=path.resolve())


@contextmanager
def _noise_kept_in(log: Path) -> Iterator[None]:
    """Send what TensorFlow's own code prints on stderr to a file, for as long as the block lasts."""
    sys.stderr.flush()
    before = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
