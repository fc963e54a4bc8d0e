"""The failing rows of a run with their probable causes; a run without a failure costs nothing here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from pipeline import golden, model_files, stages
from pipeline.config import Config
from pipeline.core.artifact import CALIBRATED_PRECISIONS, Artifact, Format, Precision
from pipeline.core.outcome import Errored, Outcome, Recording, Skipped
from pipeline.core.progress import nobody
from pipeline.core.signature import Tensors
from pipeline.diagnosis.by_answers import diagnosed_by_answers
from pipeline.diagnosis.by_halves import diagnosed_by_halves
from pipeline.diagnosis.by_model import Surroundings
from pipeline.diagnosis.by_steps import diagnosed_by_integers, diagnosed_by_steps
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.diagnose import diagnosed_error, diagnosed_further, is_settled
from pipeline.diagnosis.distance import worst_distance
from pipeline.diagnosis.output_range import diagnosed_by_range
from pipeline.golden import Golden
from pipeline.model_files import ModelFile
from pipeline.parity.diagnosis import UNKNOWN, Diagnosis
from pipeline.parity.findings import AccuracyDropped, Finding, Top1TooLow
from pipeline.parity.row import Row
from pipeline.parity.status import Error, Fail
from pipeline.recipes import TRAIN
from pipeline.store import Store
from pipeline.workers import Workers, workers
from pipeline.workflow import Ran

_WORKER = "diagnosis"
_NO_CAUSE = Diagnosis(cause=UNKNOWN, sentence="no known cause fits")
_ROW_SECONDS = 60.0
_RUN_SECONDS = 180.0
"""What all rows of a run may take together: a large model that fails everywhere would else take minutes for each."""
_LEAST_SECONDS = 1.0
_GRACE_SECONDS = 30.0
"""How much longer an experiment that is under way may take. A single call compiles for minutes in some models."""
_ALIKE = 0.1
"""Answers so much nearer to one another than to the reference are wrong for the same reason."""


def with_causes(
    rows: Sequence[Row], artifacts: Sequence[Artifact | None], *, ran: Ran, config: Config, model: str, kept: Golden
) -> tuple[Row, ...]:
    """The rows, each that fails or broke with its diagnosis. All are of the run's cells, in their order."""
    if not any(isinstance(row.status, (Fail, Error)) for row in rows):
        return tuple(rows)
    failing = sum(isinstance(row.status, (Fail, Error)) for row in rows)
    with workers(logs=config.store_path / model / "logs", observer=nobody) as crew:
        search = _Search(
            ran=ran, config=config, model=model, kept=kept, crew=crew, rows_left=failing, artifacts=artifacts
        )
        return tuple(
            msgspec.structs.replace(row, diagnosis=search.cause(row, ran.outcome(cell), artifact))
            if isinstance(row.status, (Fail, Error))
            else row
            for row, artifact, cell in zip(rows, artifacts, ran.cells, strict=True)
        )


def _of_integers(artifact: Artifact) -> bool:
    return artifact.format is Format.TFLITE and artifact.precision in CALIBRATED_PRECISIONS


def _knowing(file: ModelFile | None, experiment: Callable[..., Diagnosis], *given: object) -> Diagnosis:
    """The experiment, made where the model's own layers are known: they are in its file."""
    if file is not None:
        model_files.load(file)
    return experiment(*given)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Explained:
    """A row whose cause was looked for in its artifact, with what it answered."""

    label: str
    digest: str
    case: Case
    diagnosis: Diagnosis


@dataclass(kw_only=True)
class _Search:
    """What all rows of a run have in common, and how much time is left. `crew` has TensorFlow, when it is needed."""

    ran: Ran
    config: Config
    model: str
    kept: Golden
    crew: Workers
    rows_left: int
    artifacts: Sequence[Artifact | None]
    _seconds_left: float = _RUN_SECONDS
    _explained: list[_Explained] = field(default_factory=list)

    def cause(self, row: Row, outcome: Outcome, artifact: Artifact | None) -> Diagnosis | None:
        """The row's diagnosis. Each row may take its share of the time that is left, so that none takes it all."""
        share = min(_ROW_SECONDS, self._seconds_left / max(self.rows_left, 1))
        self.rows_left -= 1
        match outcome:
            case Skipped():
                return None
            case Errored(problem=problem):
                if artifact is None:
                    return None
                given = (problem, artifact, self._trained, self.kept.inputs)
                return self._in_worker(share, _NO_CAUSE, diagnosed_error, *given)
            case Recording():
                case = self._case(row, outcome)
                by_answers = diagnosed_by_answers(case)
                if is_settled(by_answers):
                    return by_answers
                explained = _within_precision(row) or self._as_before(case, artifact)
                return explained or self._by_experiment(row.label, case, by_answers, artifact, share)

    def _by_experiment(
        self, label: str, case: Case, by_answers: Diagnosis, artifact: Artifact | None, share: float
    ) -> Diagnosis:
        """By what the file rounds, then by the trained model, then by what the target makes of integers."""
        found = None if artifact is None else self._by_rounding(case, artifact, share)
        if found is None and self._trained is not None:
            surroundings = Surroundings(
                trained=self._trained, artifact=artifact, others=self._other_models, within_seconds=share
            )
            given = (by_answers, case, surroundings)
            found = self._in_worker(share, by_answers, diagnosed_further, *given)
        found = found or by_answers
        if artifact is not None and found.cause == UNKNOWN and _of_integers(artifact):
            exact = self._exact(artifact)
            by_integers = self._in_worker(share, found, diagnosed_by_integers, case, artifact, exact, share)
            found = found if by_integers.cause == UNKNOWN else by_integers
        if artifact is not None:
            self._explained.append(_Explained(label=label, digest=artifact.digest, case=case, diagnosis=found))
        return found

    def _by_rounding(self, case: Case, artifact: Artifact, share: float) -> Diagnosis | None:
        """The cause when it is in what a TFLite file rounds, or has no number for."""
        exact = self._exact(artifact)
        experiments: list[tuple[Callable[..., Diagnosis], tuple[object, ...]]] = []
        if _of_integers(artifact):
            experiments = [(diagnosed_by_range, ()), (diagnosed_by_steps, (exact, share))]
        elif artifact.precision is Precision.FLOAT16 and exact is not None:
            experiments = [(diagnosed_by_halves, (exact,))]
        for experiment, more in experiments:
            found = self._in_worker(share, _NO_CAUSE, experiment, case, artifact, *more)
            if found.cause != UNKNOWN:
                return found
        return None

    def _exact(self, artifact: Artifact) -> Artifact | None:
        """The model's float32 file, where the run has one of the same format that was made from the same."""
        for one in self.artifacts:
            if (
                one is not None
                and (one.format, one.made_from) == (artifact.format, artifact.made_from)
                and one.precision is Precision.FLOAT32
                and artifact.format is Format.TFLITE
            ):
                return one
        return None

    def _as_before(self, case: Case, artifact: Artifact | None) -> Diagnosis | None:
        """The cause of an earlier row whose target answers just as wrongly from the same files."""
        for one in self._explained:
            if artifact is not None and artifact.digest == one.digest and _alike(case, one.case):
                sentence = f"{one.diagnosis.sentence}; {one.label} answers the same from the same files"
                return msgspec.structs.replace(one.diagnosis, sentence=sentence)
        return None

    def _in_worker(
        self, share: float, otherwise: Diagnosis, experiment: Callable[..., Diagnosis], *given: object
    ) -> Diagnosis:
        """What the experiment finds, or `otherwise` with the reason why it found nothing. A verdict is never lost."""
        if share < _LEAST_SECONDS:
            spent = f"no experiments were made: the rows before took the {_RUN_SECONDS:.0f} s that all have together"
            return msgspec.structs.replace(otherwise, sentence=f"{otherwise.sentence}; {spent}")
        started = time.monotonic()
        call = self.crew.executor(_WORKER).submit(_knowing, self._own_file, experiment, *given)
        try:
            return call.result(timeout=share + _GRACE_SECONDS)
        except StillRunning:
            problem = f"the experiments were stopped: one of them took more than {share + _GRACE_SECONDS:.0f} s"
        except Exception as error:  # noqa: BLE001  # a verdict must not be lost over the search for its cause
            problem = f"the experiments broke off: {type(error).__name__}: {error}"
        finally:
            self._seconds_left = max(self._seconds_left - (time.monotonic() - started), 0.0)
        # A process that died, or that goes on, serves no other row.
        self.crew.end(_WORKER)
        return msgspec.structs.replace(otherwise, sentence=f"{otherwise.sentence}; {problem}")

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
            failing=_failing(row),
        )

    @property
    def _trained(self) -> Path | None:
        """The Keras model, or None when a SavedModel or a function was adopted."""
        file = self.ran.trained.path / stages.KERAS_FILE
        return file if file.is_file() else None

    @cached_property
    def _earlier_answers(self) -> Mapping[str, Tensors]:
        return earlier_answers(self.config, self.model, trained=self.ran.trained.path, kept=self.kept)

    @cached_property
    def _other_models(self) -> Mapping[str, Path]:
        return other_models(self.config, self.model)


def earlier_answers(config: Config, model: str, *, trained: Path, kept: Golden) -> Mapping[str, Tensors]:
    """What trainings in the store but the one in the folder `trained` answered, where they were asked the same."""
    found: dict[str, Tensors] = {}
    for folder in Store(root=config.store_path).newest(model, TRAIN):
        file = folder / golden.GOLDEN_FILE
        if folder.name != trained.name and file.is_file():
            other = golden.load(file)
            if _same(other.inputs, kept.inputs):
                found[f"the training {folder.name}"] = other.reference
    return found


def other_models(config: Config, model: str) -> Mapping[str, Path]:
    """The Keras file of the newest training of each other model in the store, by what the model is called."""
    store = Store(root=config.store_path)
    found = {
        folder.name: store.newest(folder.name, TRAIN)
        for folder in sorted(store.root.iterdir())
        if folder.is_dir() and folder.name != model
    }
    files = {f"the model {name}": trained[0] / stages.KERAS_FILE for name, trained in found.items() if trained}
    return {called: file for called, file in files.items() if file.is_file()}


def asked_again(row: Row) -> tuple[Finding, ...]:
    """What repeating questions has found."""
    comparison = row.comparison
    return () if comparison is None else tuple(found for line in comparison.repeats for found in line.findings)


def _within_precision(row: Row) -> Diagnosis | None:
    """For a row in which decisions alone changed: its values are no further off than was predicted of the precision."""
    predicted = all(tolerance.predicted is not None for tolerance in row.tolerances.values())
    if not isinstance(row.status, Fail) or not predicted:
        return None
    if not all(isinstance(found.finding, (Top1TooLow, AccuracyDropped)) for found in row.status.findings):
        return None
    sentence = (
        f"all values are as near as {row.precision} lets this model's be, which was predicted from its own graph; its "
        "classes lie closer together than that"
    )
    return Diagnosis(cause="within_precision", sentence=sentence)


def _failing(row: Row) -> frozenset[str]:
    """The outputs with findings of their own."""
    batches = () if row.comparison is None else row.comparison.batches
    return frozenset(one.output for batch in batches for one in batch.outputs if one.findings)


def _alike(case: Case, other: Case) -> bool:
    """Whether the answers to both agree much better with one another than with the reference, at every batch size."""
    if case.answers.keys() != other.answers.keys():
        return False
    return all(
        worst_distance(case.answers[size], other.answers[size])
        <= _ALIKE * worst_distance(case.want, case.answers[size])
        for size in case.answers
    )


def _same(left: Tensors, right: Tensors) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)
