"""Training for real: a user could not reproduce a release, or would lose an interrupted training."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import golden, model_files, stages
from pipeline.config import Config
from pipeline.core.errors import ModelFailed, UsageError
from pipeline.core.progress import Progress
from pipeline.stages import TrainSettings
from pipeline.workers import workers

DIGITS = model_files.find("digits", Config())


@pytest.fixture(scope="module")
def events() -> list[Progress]:
    return []


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, events: list[Progress]) -> Any:
    with workers(logs=tmp_path_factory.mktemp("logs"), observer=events.append) as crew:
        yield crew.executor("train")


def train(worker: Executor, folder: Path, *, epochs: int, seed: int = 0, resume: bool = False) -> golden.Golden:
    made = folder / f"made-{epochs}-{seed}-{resume}"
    made.mkdir()
    settings = TrainSettings(epochs=epochs, seed=seed, resume=resume, representative_samples=10)
    worker.submit(stages.train_into, made, DIGITS, settings, folder / "checkpoints", folder / "tensorboard").result()
    return golden.load(made / golden.GOLDEN_FILE)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(worker: Executor, tmp_path: Path) -> None:
    """A release could not be made again from its commit."""
    first = train(worker, tmp_path, epochs=2)
    (tmp_path / "again").mkdir()
    again = train(worker, tmp_path / "again", epochs=2)
    other = train(worker, tmp_path, epochs=2, seed=1)
    np.testing.assert_array_equal(first.reference["probabilities"], again.reference["probabilities"])
    assert np.abs(first.reference["probabilities"] - other.reference["probabilities"]).max() > 1e-3


def test_a_resumed_training_ends_as_an_uninterrupted_one(worker: Executor, tmp_path: Path) -> None:
    """`--resume` would quietly give another model than the one asked for."""
    straight = train(worker, tmp_path, epochs=3)
    broken_off = tmp_path / "broken-off"
    broken_off.mkdir()
    worker.submit(_interrupted_after, 2, 3, broken_off / "checkpoints", broken_off / "tensorboard").result()
    resumed = train(worker, broken_off, epochs=3, resume=True)
    np.testing.assert_array_equal(straight.reference["probabilities"], resumed.reference["probabilities"])
    assert not (broken_off / "checkpoints").exists()


def test_many_steps_in_one_call_give_the_weights_of_single_steps(worker: Executor, tmp_path: Path) -> None:
    """What makes training fast would change the model, or take batches of one epoch into the next."""
    at_once = train(worker, tmp_path, epochs=2)
    single = worker.submit(_step_by_step, 2, tmp_path / "single", tmp_path / "tensorboard").result()
    np.testing.assert_array_equal(at_once.reference["probabilities"], single)


def test_resuming_nothing_is_refused(worker: Executor, tmp_path: Path) -> None:
    """A user would wait for a whole training that they believed half done."""
    with pytest.raises(UsageError, match="no interrupted training"):
        train(worker, tmp_path, epochs=2, resume=True)


def test_progress_comes_from_the_worker(worker: Executor, tmp_path: Path, events: list[Progress]) -> None:
    """A training of an hour would look like a hang."""
    events.clear()
    train(worker, tmp_path, epochs=2)
    assert [(event.done, event.total) for event in events[:2]] == [(1, 2), (2, 2)]
    assert "loss" in events[0].message
    assert list((tmp_path / "tensorboard").rglob("events.out.tfevents*"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("raise ValueError('no data here')", "raised ValueError: no data here"),
        ("import nonsense_that_is_not_there", "ModuleNotFoundError"),
        ("x = 1", "defines no `MODEL"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_model_file_that_fails_is_named(tmp_path: Path, text: str, problem: str) -> None:
    """A user would search for their own mistake in our traceback."""
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(ModelFailed, match=r"mine\.py") as caught:
        model_files.load(model_files.find(str(file), Config()))
    assert problem in caught.value.problem


def _interrupted_after(epoch: int, epochs: int, checkpoints: Path, tensorboard: Path) -> None:
    """Train as `stages.train_into` does, with a checkpoint at every epoch, and break off after one of them."""
    from pipeline import training

    class Break(Exception):
        pass

    def observer(event: Progress) -> None:
        # The checkpoint of an epoch is written after its report: so break at the next one's.
        if event.done == epoch + 1:
            raise Break

    training._SECONDS_BETWEEN_CHECKPOINTS = 0.0
    try:
        training.train(
            model_files.load(DIGITS),
            epochs=epochs,
            seed=0,
            resume=False,
            checkpoints=checkpoints,
            tensorboard=tensorboard,
            observer=observer,
        )
    except Break:
        return
    raise AssertionError("the training was not broken off")


def _step_by_step(epochs: int, checkpoints: Path, tensorboard: Path) -> Any:
    import keras

    from pipeline import training

    calls = 0

    class Count(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            nonlocal calls
            calls += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_MOST_STEPS_AT_ONCE", 1)
        patch.setattr(training, "_observing", lambda *_: Count())
        spec = model_files.load(DIGITS)
        trained = training.train(
            spec, epochs=epochs, seed=0, resume=False, checkpoints=checkpoints, tensorboard=tensorboard
        )
    assert calls == epochs * 45
    return trained.reference["probabilities"]
