"""What a file in `models/` says about its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors, TensorSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Samples by input name and what they should give by output name, the first dimension counting samples.

    `weights` say, by output name, how much each sample counts in training (float, [samples]): 0 where nobody knows what
    it should give. All outputs have weights, or none has.
    """

    inputs: Tensors
    targets: Tensors
    weights: Tensors | None = None

    @property
    def count(self) -> int:
        return len(next(iter(self.inputs.values())))


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Real data in two parts. `test` is what every target is asked; the representative dataset comes from `train`."""

    train: Split
    test: Split


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """The output that scores classes (float, [batch, classes]), with the classes' names in the order of the scores.

    The split's target of the same name holds the index of the right class (integers, [batch]).
    """

    output: str
    classes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Demo:
    """How the web demo shows the model."""

    kind: Literal["draw"]
    title: str
    input: str


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One model: how to build it compiled, its data, and how long to train it.

    `build` is called after the seeds are set. `inputs` are needed for a model that does not say what its inputs are, a
    subclassed `keras.Model`, and ignored for others. Training counts as failed when the share of right answers on the
    test split is below `accuracy_floor`, or the mean absolute error of an output above its `error_ceilings`.
    `training_threads` bounds the threads among which TensorFlow divides one operation, None leaves that to it: the
    operations of a small model are over sooner than they are divided.
    """

    name: str
    summary: str
    build: Callable[[], Any]
    data: Callable[[], Dataset]
    output_names: tuple[str, ...]
    epochs: int
    batch_size: int
    seed: int = 0
    training_threads: int | None = None
    inputs: tuple[TensorSpec, ...] = ()
    scores: ClassScores | None = None
    accuracy_floor: float | None = None
    error_ceilings: Mapping[str, float] = field(default_factory=dict)
    demo: Demo | None = None


def predicted_classes(scores: NDArray[Any]) -> NDArray[np.int64]:
    """The index of the highest score in each row, [batch]; the lowest index when scores tie."""
    return np.asarray(np.argmax(scores, axis=-1), dtype=np.int64)


def labels_of(spec: ModelSpec, split: Split) -> NDArray[np.int64] | None:
    """The right classes of the split, [batch], or None when the model does not score classes."""
    return None if spec.scores is None else np.asarray(split.targets[spec.scores.output], dtype=np.int64)


def targets_of(spec: ModelSpec, split: Split, answers: Tensors) -> dict[str, NDArray[Any]]:
    """What each output of the split is to be, of those that are numbers of the shape that the model answers."""
    return {
        name: target
        for name, target in split.targets.items()
        if (spec.scores is None or name != spec.scores.output)
        and name in answers
        and target.shape == answers[name].shape
        and target.dtype.kind in "fiu"
        and answers[name].dtype.kind == "f"
    }
