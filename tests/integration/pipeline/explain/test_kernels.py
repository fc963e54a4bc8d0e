"""One quantized file in two real edge runtimes: the same to a step in every operation, and a wrong kernel is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from edge.runtime import EdgeProcess
from pipeline.core.artifact import Artifact, Precision
from pipeline.core.errors import UsageError
from pipeline.core.signature import Tensors
from pipeline.core.target import Answers, Runner, Session
from pipeline.explain.kernels import Kernels, compared
from tests.integration.exported import Exported

NAMES = ("edge/litert", "edge/tflite-runtime")
QUANTIZED = (Precision.INT8, Precision.INT8_IO, Precision.INT16X8)


@pytest.fixture(scope="module")
def older_edge(require: Callable[[str | None], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    runtime = EdgeProcess(library="tflite-runtime")
    require(runtime.missing())
    with runtime.boot(tmp_path_factory.mktemp("older-edge")) as session:
        yield session


@dataclass(frozen=True)
class _Spoiled:
    """A real runtime whose answers to one name are some steps off, as a vendor's kernel may be."""

    session: Session
    steps: int
    tensor: str

    @contextmanager
    def load(self, artifact: Artifact, variant: str) -> Iterator[Runner]:
        with self.session.load(artifact, variant) as runner:
            yield _SpoiledRunner(runner, self.steps, self.tensor)


@dataclass(frozen=True)
class _SpoiledRunner:
    runner: Runner
    steps: int
    tensor: str

    @property
    def info(self) -> Any:
        return self.runner.info

    def run(self, samples: Tensors, *, batch_size: int) -> Answers:
        answers = self.runner.run(samples, batch_size=batch_size)
        outputs = dict(answers.outputs)
        if self.tensor in outputs:
            stored = outputs[self.tensor]
            limits = np.iinfo(stored.dtype)
            moved = np.clip(stored.astype(np.int64) + self.steps, limits.min, limits.max)
            outputs[self.tensor] = moved.astype(stored.dtype)
        return replace(answers, outputs=outputs)


def _beside(small: Exported, artifact: Artifact, one: Session, other: Session) -> Kernels:
    samples = {name: array[:64] for name, array in small.samples.items()}
    return compared(artifact, one, other, samples=samples, names=NAMES)


@pytest.mark.parametrize("precision", QUANTIZED)
def test_two_sound_runtimes_are_a_step_apart_at_most(
    small: Exported,
    small_tflite: Mapping[Precision, Artifact],
    edge: Session,
    older_edge: Session,
    precision: Precision,
) -> None:
    """A person would blame a runtime for what rounding does."""
    kernels = _beside(small, small_tflite[precision], edge, older_edge)
    assert kernels.first_apart is None, kernels.sentence
    assert max(line.steps for line in kernels.lines) <= 1
    assert {"CONV_2D", "FULLY_CONNECTED", "SOFTMAX"} <= {line.operation for line in kernels.lines}
    assert set(kernels.outputs) == {"probabilities"}


@pytest.mark.parametrize("steps", [2, -3])
def test_a_kernel_that_is_more_than_a_step_off_is_named(
    small: Exported, small_tflite: Mapping[Precision, Artifact], edge: Session, older_edge: Session, steps: int
) -> None:
    """The outputs are within the tolerance of int8, and the runtime is wrong all the same."""
    artifact = small_tflite[Precision.INT8]
    sound = _beside(small, artifact, edge, older_edge)
    position = next(i for i, line in enumerate(sound.lines) if line.operation == "CONV_2D")
    handles = _handles(artifact)
    kernels = _beside(small, artifact, edge, _Spoiled(older_edge, steps, f"out_{handles[position]}"))
    assert kernels.first_apart is not None
    assert kernels.first_apart.tensor == sound.lines[position].tensor
    assert kernels.first_apart.steps >= abs(steps) - 1
    assert [line.steps > 1 for line in kernels.lines].count(True) == 1
    assert "do not compute the same" in kernels.sentence


def _handles(artifact: Artifact) -> list[str]:
    from export.tflite_cut import graph_of_tflite

    graph = graph_of_tflite(artifact.path, artifact.signature.name)
    return [node.handle for node in graph.nodes if node.handle in graph.fed and node.dtype == "int8"]


def test_a_file_without_integers_is_refused(
    small: Exported, small_tflite: Mapping[Precision, Artifact], edge: Session, older_edge: Session
) -> None:
    """It would be called the same without a single tensor compared."""
    with pytest.raises(UsageError, match="no quantized tensor"):
        _beside(small, small_tflite[Precision.FLOAT32], edge, older_edge)
