"""Training a model file's model: seeded, resumable, watched by an observer."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ModelFailed, UsageError
from pipeline.core.model import Dataset, ModelSpec, Split, labels_of, predicted_classes, targets_of
from pipeline.core.progress import Observer, Progress, nobody
from pipeline.core.signature import Tensors

STAGE = "train"
CHECKPOINT = "checkpoint.keras"
_RANDOM_STATE = "random.npz"
# Saving costs tens of milliseconds, an epoch of a small model as little: by time, it never becomes the main cost.
_SECONDS_BETWEEN_CHECKPOINTS = 5.0
_REFERENCE_BATCH = 64
# Steps that TensorFlow takes without coming back to Python; more would save little, and a Ctrl-C should not wait.
_MOST_STEPS_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A trained model, still in memory, with what it answers for the test split.

    `reference` holds one row a test sample under signature output names; `accuracy` the share of right answers, or
    None when the model does not score classes.
    """

    model: Any
    dataset: Dataset
    reference: Tensors
    accuracy: float | None
    epochs_run: int
    seconds: float


def train(
    spec: ModelSpec,
    *,
    epochs: int,
    seed: int,
    resume: bool,
    checkpoints: Path,
    tensorboard: Path | None,
    observer: Observer = nobody,
) -> Trained:
    """Train from the seed alone: the same seed on the same machine gives the same weights, resumed or not.

    `checkpoints` is a folder that outlives an interrupted training; with `resume` its last epoch is continued.
    Raises ModelFailed when the model file raises or the trained model stays below its accuracy floor.
    """
    import keras
    import tensorflow as tf

    started = time.perf_counter()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    dataset = from_model_file(spec, "data", spec.data)
    saved = checkpoints / CHECKPOINT
    first_epoch = 0
    if resume:
        first_epoch = _epoch_of(checkpoints)
        model = keras.models.load_model(saved)
        _restore_random_state(model, checkpoints / _RANDOM_STATE)
    else:
        shutil.rmtree(checkpoints, ignore_errors=True)
        model = from_model_file(spec, "build", spec.build)
    checkpoints.mkdir(parents=True, exist_ok=True)

    callbacks = [_observing(observer, epochs, started), _checkpointing(checkpoints)]
    if tensorboard is not None:
        callbacks.append(keras.callbacks.TensorBoard(log_dir=str(tensorboard), write_graph=False))
    steps = math.ceil(dataset.train.count / spec.batch_size)
    with _steps_at_once(model, steps):
        model.fit(
            _shuffled_batches(dataset.train, batch_size=spec.batch_size, seed=seed, epochs=range(first_epoch, epochs)),
            steps_per_epoch=steps,
            epochs=epochs,
            initial_epoch=first_epoch,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
    reference = reference_answers(model, spec, dataset.test.inputs)
    accuracy = _accuracy(spec, dataset.test, reference)
    errors = _errors(spec, dataset.test, reference)
    if epochs >= spec.epochs:
        _check_floor(spec, accuracy, epochs)
        _check_ceilings(spec, errors, epochs)
    seconds = time.perf_counter() - started
    figures = [] if accuracy is None else [f"test accuracy {accuracy:.2%}"]
    figures += [f"test error of {name} {error:.4g}" for name, error in errors.items()]
    if figures:
        observer(Progress(stage=STAGE, message=", ".join(figures), done=epochs, total=epochs))
    return Trained(
        model=model,
        dataset=dataset,
        reference=reference,
        accuracy=accuracy,
        epochs_run=epochs - first_epoch,
        seconds=seconds,
    )


@contextmanager
def _steps_at_once(model: Any, steps_of_epoch: int) -> Iterator[None]:
    """Let Keras take several steps in one call, unless the model file has chosen; the weights are the same bits.

    A small model's step takes TensorFlow less time than the way to Python and back. The number divides the epoch's:
    Keras would take the last call's missing steps from the next epoch.
    """
    chosen = model.steps_per_execution
    if chosen == 1 and not model.run_eagerly:
        model.steps_per_execution = max(n for n in range(1, _MOST_STEPS_AT_ONCE + 1) if steps_of_epoch % n == 0)
    try:
        yield
    finally:
        model.steps_per_execution = chosen


def reference_answers(model: Any, spec: ModelSpec, inputs: Tensors) -> dict[str, NDArray[Any]]:
    """What the trained Keras model itself answers in this process, by signature output name, one row a sample."""
    import tensorflow as tf

    # By way of a dataset, as in training: Keras takes no arrays of text.
    samples = tf.data.Dataset.from_tensor_slices(_bare_if_single(dict(inputs))).batch(_REFERENCE_BATCH)
    answers = model.predict(samples, verbose=0)
    named = _by_output_name(answers, spec.output_names)
    return {name: np.asarray(array) for name, array in named.items()}


def _by_output_name(answers: Any, names: tuple[str, ...]) -> Mapping[str, Any]:
    match answers:
        case dict():
            if set(answers) != set(names):
                raise ModelFailed(
                    f"the model answers {sorted(answers)}, its file says output_names={sorted(names)}",
                    hint="make `output_names` in the model file and the keys of the model's outputs the same",
                )
            return answers
        case list() | tuple():
            return dict(zip(names, answers, strict=True))
        case _:
            (name,) = names
            return {name: answers}


def from_model_file(spec: ModelSpec, what: str, make: Any) -> Any:
    """What the model file's function `what` gives. Raises ModelFailed, naming it, when it raises."""
    try:
        return make()
    except (Exception, SystemExit) as error:
        raise ModelFailed(
            f"model {spec.name}: its {what}() raised {type(error).__name__}: {error}",
            hint=f"mend {what}() in the model file; `tripoint train {spec.name} -v` shows the traceback",
        ) from error


def _accuracy(spec: ModelSpec, test: Split, reference: Tensors) -> float | None:
    labels = labels_of(spec, test)
    if spec.scores is None or labels is None:
        return None
    return float(np.mean(predicted_classes(reference[spec.scores.output]) == labels))


def _check_floor(spec: ModelSpec, accuracy: float | None, epochs: int) -> None:
    if accuracy is None or spec.accuracy_floor is None or accuracy >= spec.accuracy_floor:
        return
    raise ModelFailed(
        f"model {spec.name}: test accuracy {accuracy:.2%} after {epochs} epochs, below its floor of "
        f"{spec.accuracy_floor:.2%}",
        hint=f"try `tripoint train {spec.name} --epochs {2 * epochs}` or another --seed",
    )


def _errors(spec: ModelSpec, test: Split, reference: Tensors) -> dict[str, float]:
    """The mean absolute error of each output that is to meet given values."""
    return {
        name: float(np.mean(np.abs(reference[name].astype(np.float64) - target)))
        for name, target in targets_of(spec, test, reference).items()
    }


def _check_ceilings(spec: ModelSpec, errors: Mapping[str, float], epochs: int) -> None:
    for name, ceiling in spec.error_ceilings.items():
        if name not in errors:
            raise ModelFailed(
                f"model {spec.name}: error_ceilings names `{name}`, which is no output with values to meet",
                hint=f"those are {', '.join(errors) or 'none: the test split has no such targets'}",
            )
        if not errors[name] <= ceiling:
            raise ModelFailed(
                f"model {spec.name}: mean absolute error of `{name}` {errors[name]:.4g} after {epochs} epochs, "
                f"above its ceiling of {ceiling:g}",
                hint=f"try `tripoint train {spec.name} --epochs {2 * epochs}` or another --seed",
            )


def _epoch_of(checkpoints: Path) -> int:
    note = checkpoints / "epoch"
    if not note.exists() or not (checkpoints / CHECKPOINT).exists():
        raise UsageError("there is no interrupted training to resume", hint="run it without --resume")
    return int(note.read_text())


def _shuffled_batches(train: Split, *, batch_size: int, seed: int, epochs: range) -> Any:
    """Batches whose order depends on seed and epoch alone, so that a resumed training goes on as it would have."""
    import tensorflow as tf

    orders = np.stack([np.random.default_rng((seed, epoch)).permutation(train.count) for epoch in epochs])

    def rows_of_epoch(order: Any) -> Any:
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size)

    parts = [train.inputs, train.targets, *([] if train.weights is None else [train.weights])]

    def samples_of(rows: Any) -> tuple[Any, ...]:
        return tuple(_bare_if_single({name: tf.gather(array, rows) for name, array in part.items()}) for part in parts)

    return tf.data.Dataset.from_tensor_slices(orders).flat_map(rows_of_epoch).map(samples_of).prefetch(8)


def _bare_if_single(tensors: dict[str, Any]) -> Any:
    # A Sequential model takes an array, not a dict of one.
    return next(iter(tensors.values())) if len(tensors) == 1 else tensors


def _observing(observer: Observer, epochs: int, started: float) -> Any:
    import keras

    def report(epoch: int, logs: Mapping[str, float] | None) -> None:
        figures = ", ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        seconds = time.perf_counter() - started
        observer(Progress(stage=STAGE, message=figures, done=epoch + 1, total=epochs, seconds=seconds))

    return keras.callbacks.LambdaCallback(on_epoch_end=report)


def _checkpointing(folder: Path) -> Any:
    import keras

    class Checkpoint(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        def __init__(self) -> None:
            super().__init__()
            self.saved_at = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            del logs
            if time.perf_counter() - self.saved_at < _SECONDS_BETWEEN_CHECKPOINTS:
                return
            aside = folder / f"aside-{os.getpid()}.keras"
            self.model.save(aside)
            # The epoch is written first: a model newer than its note would repeat an epoch, an older one skip it.
            note = folder / "epoch"
            note.unlink(missing_ok=True)
            aside.replace(folder / CHECKPOINT)
            np.savez(folder / _RANDOM_STATE, *(variable.numpy() for variable in _random_state(self.model)))
            note.write_text(str(epoch + 1))
            self.saved_at = time.perf_counter()

    return Checkpoint()


def _random_state(model: Any) -> list[Any]:
    """The variables from which dropout and its like draw. Keras does not save them with the model."""
    return [variable for variable in model.non_trainable_variables if variable.path.endswith("seed_generator_state")]


def _restore_random_state(model: Any, file: Path) -> None:
    with np.load(file) as saved:
        for variable, name in zip(_random_state(model), saved.files, strict=True):
            variable.assign(saved[name])
