"""The failing rows of a run with their causes, from a real store: what passed costs nothing, rows keep their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import keras
import numpy as np
import pytest

from pipeline import diagnosing, golden
from pipeline.config import Config
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.outcome import Errored, Outcome, Recording, Skipped
from pipeline.core.signature import Signature, Tensors, TensorSpec
from pipeline.core.target import RuntimeInfo
from pipeline.diagnosing import other_models, with_causes
from pipeline.golden import Golden
from pipeline.parity.row import Row, row_of
from pipeline.parity.tolerances import tolerances_for
from pipeline.recipes import TRAIN
from pipeline.store import MANIFEST
from pipeline.workflow import Ran

pytestmark = pytest.mark.filterwarnings("ignore")

SIGNATURE = Signature(
    name="serving_default",
    inputs=(TensorSpec(name="numbers", dtype="float32", shape=(None, 6)),),
    outputs=(TensorSpec(name="scores", dtype="float32", shape=(None, 4)),),
)


@dataclass(frozen=True, kw_only=True)
class Project:
    """A store with one training of the model `mine`, and its answers."""

    folder: Path
    model: Any
    kept: Golden
    trained: Path
    rows: list[Row] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def config(self) -> Config:
        return Config(folder=str(self.folder))

    def answered(self, outcome: Outcome, artifact: Artifact | None = None) -> None:
        """One more line of the run."""
        self.outcomes.append(outcome)
        self.rows.append(
            row_of(
                outcome,
                target=f"edge/{len(self.rows)}",
                format=Format.TFLITE,
                precision=Precision.FLOAT32,
                artifact=artifact,
                reference=self.kept.reference,
                signature=SIGNATURE,
                tolerances=tolerances_for(Format.TFLITE, Precision.FLOAT32, {}, outputs=("scores",)),
                labels=None,
                scores_output=None,
            )
        )

    def causes(self) -> tuple[Row, ...]:
        ran = SimpleNamespace(
            cells=tuple(range(len(self.rows))),
            outcome=self.outcomes.__getitem__,
            trained=SimpleNamespace(path=self.trained, facts={"scores": None}),
        )
        return with_causes(
            self.rows,
            [None] * len(self.rows),
            ran=cast("Ran", ran),
            config=self.config,
            model="mine",
            kept=self.kept,
        )


def _recorded(answers: Tensors) -> Recording:
    return Recording(
        info=RuntimeInfo(runtime="real enough", version="1"),
        outputs={8: answers},
        milliseconds_per_sample={8: 1.0},
    )


def _model(seed: int) -> Any:
    keras.utils.set_random_seed(seed)
    # With biases: without them, an input that is scaled and an output that is scaled are the same.
    wide = {name: keras.initializers.RandomNormal(stddev=1.5) for name in ("kernel_initializer", "bias_initializer")}
    hidden = keras.layers.Dense(12, activation="relu", **wide)
    scores = keras.layers.Dense(4, name="scores", **wide)
    return keras.Sequential([keras.Input((6,), name="numbers"), hidden, scores])


def _answers(model: Any, inputs: Tensors) -> Tensors:
    return {"scores": model.predict(inputs["numbers"], verbose=0)}


def _stored(folder: Path, model: Any, kept: Golden) -> Path:
    """A finished training, as the store has it."""
    folder.mkdir(parents=True)
    model.save(folder / "model.keras")
    golden.save(kept, folder / golden.GOLDEN_FILE)
    (folder / MANIFEST).write_text("{}")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    model = _model(0)
    inputs = {"numbers": np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)}
    kept = Golden(inputs=inputs, reference=_answers(model, inputs), labels=None)
    store = Config(folder=str(tmp_path)).store_path
    trained = _stored(store / "mine" / TRAIN / "now", model, kept)
    (store / "mine" / "logs").mkdir()
    return Project(folder=tmp_path, model=model, kept=kept, trained=trained)


def _nobody(**_: object) -> NoReturn:
    raise AssertionError("a worker was started")


def test_a_run_without_a_failure_starts_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run would pay for the import of TensorFlow."""
    monkeypatch.setattr(diagnosing, "workers", _nobody)
    project.answered(_recorded(project.kept.reference))
    project.answered(Skipped(reason="not here"))
    assert project.causes() == tuple(project.rows)


def test_the_answers_of_an_older_training_are_known_again(project: Project) -> None:
    """Stale weights are the commonest reason, and a store that keeps trainings knows them."""
    older = _model(1)
    kept = Golden(inputs=project.kept.inputs, reference=_answers(older, project.kept.inputs), labels=None)
    _stored(project.trained.parent / "before", older, kept)
    project.answered(_recorded(kept.reference))
    (row,) = project.causes()
    assert row.diagnosis is not None
    assert (row.diagnosis.cause, "the training before" in row.diagnosis.sentence) == ("stale_weights", True)


def test_an_older_training_that_was_asked_something_else_is_no_cause(project: Project) -> None:
    """Its answers to other samples would explain whatever resembles them."""
    older = _model(1)
    inputs = {"numbers": project.kept.inputs["numbers"] + 1}
    _stored(
        project.trained.parent / "before", older, Golden(inputs=inputs, reference=_answers(older, inputs), labels=None)
    )
    assert diagnosing.earlier_answers(project.config, "mine", trained=project.trained, kept=project.kept) == {}


def test_each_row_keeps_its_place_and_only_failing_ones_have_a_cause(project: Project) -> None:
    """A cause below the wrong line sends a person to the wrong target."""
    reference = project.kept.reference["scores"]
    project.answered(_recorded(project.kept.reference))
    project.answered(_recorded({"scores": reference[:, [1, 0, 2, 3]]}))
    project.answered(Skipped(reason="not here"))
    project.answered(Errored(problem="the converter refused it", hint="mend it"))
    project.answered(_recorded({"scores": reference[::-1]}))
    rows = project.causes()
    assert [row.target for row in rows] == [row.target for row in project.rows]
    assert [None if row.diagnosis is None else row.diagnosis.cause for row in rows] == [
        None,
        "classes_permuted",
        None,
        None,
        "rows_reversed",
    ]


@pytest.mark.slow
def test_what_answers_alone_do_not_tell_is_asked_of_the_trained_model(project: Project) -> None:
    """The experiments run in a worker of their own, which has to know the store's files and to end."""
    tripled = {"numbers": (project.kept.inputs["numbers"] * 3).astype(np.float32)}
    project.answered(_recorded(_answers(project.model, tripled)))
    (row,) = project.causes()
    assert row.diagnosis is not None
    assert row.diagnosis.cause == "input_scale", row.diagnosis
    assert "3 times" in row.diagnosis.sentence


def test_the_other_models_of_the_store_are_candidates(project: Project) -> None:
    """Another model served under the name is only known again when it is looked at: the newest of each, not the own."""
    root = project.config.store_path
    _stored(root / "yours" / TRAIN / "first", _model(2), project.kept)
    assert other_models(project.config, "mine") == {"the model yours": root / "yours" / TRAIN / "first" / "model.keras"}
    found: Sequence[str] = list(other_models(project.config, "yours"))
    assert found == ["the model mine"]
