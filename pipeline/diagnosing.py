"""The failing rows of a run with their probable causes; a run without a failure costs nothing here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from pipeline import golden, model_files, stages
from pipeline.config import Config
from pipeline.core.artifact import Artifact
from pipeline.core.outcome import Errored, Outcome, Recording, Skipped
from pipeline.core.progress import nobody
from pipeline.core.signature import Tensors
from pipeline.diagnosis.by_answers import diagnosed_by_answers
from pipeline.diagnosis.by_model import Surroundings
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.diagnose import diagnosed_error, diagnosed_further, is_settled
from pipeline.golden import Golden
from pipeline.model_files import ModelFile
from pipeline.parity.diagnosis import UNKNOWN, Diagnosis
from pipeline.parity.findings import Finding
from pipeline.parity.row import Row
from pipeline.parity.status import Error, Fail
from pipeline.plan import TRAIN
from pipeline.store import Store
from pipeline.workers import workers
from pipeline.workflow import Ran


def with_causes(
    rows: Sequence[Row], artifacts: Sequence[Artifact | None], *, ran: Ran, config: Config, model: str, kept: Golden
) -> tuple[Row, ...]:
    """The rows, each that fails or broke with its diagnosis. All are of the run's cells, in their order."""
    if not any(isinstance(row.status, (Fail, Error)) for row in rows):
        return tuple(rows)
    with workers(logs=config.store_path / model / "logs", observer=nobody) as crew:
        search = _Search(ran=ran, config=config, model=model, kept=kept, executor=lambda: crew.executor("diagnosis"))
        return tuple(
            msgspec.structs.replace(row, diagnosis=search.cause(row, ran.outcome(cell), artifact))
            if isinstance(row.status, (Fail, Error))
            else row
            for row, artifact, cell in zip(rows, artifacts, ran.cells, strict=True)
        )


def _knowing(file: ModelFile | None, experiment: Callable[..., Diagnosis], *given: object) -> Diagnosis:
    """The experiment, made where the model's own layers are known: they are in its file."""
    if file is not None:
        model_files.load(file)
    return experiment(*given)


@dataclass(frozen=True, kw_only=True)
class _Search:
    """What all rows of a run have in common. `executor` starts the worker that has TensorFlow, when it is needed."""

    ran: Ran
    config: Config
    model: str
    kept: Golden
    executor: Callable[[], Executor]

    def cause(self, row: Row, outcome: Outcome, artifact: Artifact | None) -> Diagnosis | None:
        match outcome:
            case Skipped():
                return None
            case Errored(problem=problem):
                if artifact is None:
                    return None
                return self._in_worker(0, diagnosed_error, problem, artifact, self._trained, self.kept.inputs)
            case Recording():
                case = self._case(row, outcome)
                by_answers = diagnosed_by_answers(case)
                if is_settled(by_answers) or self._trained is None:
                    return by_answers
                surroundings = Surroundings(trained=self._trained, artifact=artifact, others=self._other_models)
                return self._in_worker(by_answers.tried, diagnosed_further, by_answers, case, surroundings)

    def _in_worker(self, tried: int, experiment: Callable[..., Diagnosis], *given: object) -> Diagnosis:
        try:
            return self.executor().submit(_knowing, self._own_file, experiment, *given).result()
        except Exception as error:  # noqa: BLE001  # a verdict must not be lost over the search for its cause
            problem = f"the experiments broke off: {type(error).__name__}: {error}"
            return Diagnosis(cause=UNKNOWN, sentence=problem, tried=tried)

    @property
    def _own_file(self) -> ModelFile | None:
        path = model_files.model_files(self.config).get(self.model)
        return None if path is None else ModelFile(name=self.model, path=path)

    def _case(self, row: Row, recording: Recording) -> Case:
        scores = self.ran.trained.facts["scores"]
        return Case(
            inputs=self.kept.inputs,
            want=self.kept.reference,
            answers=recording.outputs,
            tolerances=row.tolerances,
            scores_output=None if scores is None else scores["output"],
            classes=() if scores is None else tuple(scores["classes"]),
            earlier=self._earlier_answers,
            repeats=asked_again(row),
        )

    @property
    def _trained(self) -> Path | None:
        """The Keras model, or None when a SavedModel or a function was adopted."""
        file = self.ran.trained.path / stages.KERAS_FILE
        return file if file.is_file() else None

    @cached_property
    def _earlier_answers(self) -> Mapping[str, Tensors]:
        """What other trainings in the store answered, where they were asked the same."""
        found: dict[str, Tensors] = {}
        for folder in Store(root=self.config.store_path).newest(self.model, TRAIN):
            file = folder / golden.GOLDEN_FILE
            if folder.name != self.ran.trained.path.name and file.is_file():
                other = golden.load(file)
                if _same(other.inputs, self.kept.inputs):
                    found[f"the training {folder.name}"] = other.reference
        return found

    @cached_property
    def _other_models(self) -> Mapping[str, Path]:
        """The newest training of each other model in the store."""
        store = Store(root=self.config.store_path)
        found = {
            folder.name: store.newest(folder.name, TRAIN)
            for folder in sorted(store.root.iterdir())
            if folder.is_dir() and folder.name != self.model
        }
        files = {f"the model {name}": trained[0] / stages.KERAS_FILE for name, trained in found.items() if trained}
        return {called: file for called, file in files.items() if file.is_file()}


def asked_again(row: Row) -> tuple[Finding, ...]:
    """What repeating questions has found."""
    comparison = row.comparison
    return () if comparison is None else tuple(found for line in comparison.repeats for found in line.findings)


def _same(left: Tensors, right: Tensors) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)
