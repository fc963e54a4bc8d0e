"""What an artifact holds at its points, when it runs as a whole and when each piece is fed with the model's values."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.artifact_graph import ArtifactGraph, Node, Wire
from pipeline.core.artifact import Artifact
from pipeline.core.errors import TripointError
from pipeline.core.signature import Tensors, TensorSpec, sample_count
from pipeline.core.target import Session
from pipeline.explain.cutting import cut
from pipeline.explain.points import Point


@dataclass(frozen=True, kw_only=True)
class Broke:
    """The piece did not run: what the runtime said."""

    problem: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Laboratory:
    """One artifact on one runtime, its points, and what the trained model holds there (`truth`, by operation)."""

    artifact: Artifact
    graph: ArtifactGraph
    session: Session
    variant: str
    points: Sequence[Point]
    samples: Tensors
    truth: Tensors

    def propagated(self) -> list[NDArray[Any] | Broke]:
        """The value at each point when the artifact answers the samples as it is."""
        return self._in_halves(self.points, fed=())

    def isolated(self) -> list[NDArray[Any] | Broke]:
        """The value at each point when whatever reads a point before it is given the trained model's value instead."""
        return self._in_halves(self.points, fed=self.points)

    def _in_halves(self, wanted: Sequence[Point], fed: Sequence[Point]) -> list[NDArray[Any] | Broke]:
        """All in one run; when that fails, each half by itself: then one piece that does not run hides no other."""
        try:
            return list(self._run(wanted, fed))
        except TripointError as error:
            if len(wanted) == 1:
                return [Broke(problem=error.problem)]
        middle = len(wanted) // 2
        return [*self._in_halves(wanted[:middle], fed), *self._in_halves(wanted[middle:], fed)]

    def _run(self, wanted: Sequence[Point], fed: Sequence[Point]) -> list[NDArray[Any]]:
        batched = all(spec.batched for spec in self.artifact.signature.inputs)
        with tempfile.TemporaryDirectory(prefix="tripoint-explain-") as folder:
            piece, given = self.cut(wanted, fed, into=Path(folder))
            with self.session.load(piece, self.variant) as runner:
                answers = runner.run(given, batch_size=sample_count(self.samples) if batched else 1)
            names = [f"out_{position}" for position in range(len(wanted))]
            return [real_numbers(answers.outputs[name], point.node) for name, point in zip(names, wanted, strict=True)]

    def cut(self, wanted: Sequence[Point], fed: Sequence[Point], *, into: Path) -> tuple[Artifact, Tensors]:
        """Write the piece that makes the wanted points (`out_0` and so on) of the inputs and the fed points.

        Returns it with what it is fed: the samples, and the trained model's values at the fed points, as stored there.
        """
        inputs = {spec.name: spec for spec in self.artifact.signature.inputs}
        taken = {name: node for name, node in self.graph.inputs.items() if name in inputs}
        feeds = [Wire(handle=node.handle, spec=inputs[name]) for name, node in taken.items()]
        given = {name: as_stored(self.samples[name], node) for name, node in taken.items()}
        for position, point in enumerate(fed):
            name = f"in_{position}"
            value = as_stored(self.truth[point.operation], point.node)
            feeds.append(Wire(handle=point.node.handle, spec=_spec(name, value)))
            given[name] = value
        fetches = [
            Wire(handle=point.node.handle, spec=_spec(f"out_{position}", self.truth[point.operation]))
            for position, point in enumerate(wanted)
        ]
        piece = cut(self.artifact, into=into, feeds=feeds, fetches=fetches)
        return piece, {name: given[name] for name in piece.signature.input_names}


def _spec(name: str, value: NDArray[Any]) -> TensorSpec:
    return TensorSpec(name=name, dtype=value.dtype.name, shape=(None, *value.shape[1:]))


def as_stored(value: NDArray[Any], node: Node) -> NDArray[Any]:
    """The real numbers as the artifact stores them at the node: rounded and clipped where it is quantized."""
    if node.quantized is None or node.dtype is None:
        return value if node.dtype in (None, value.dtype.name) else value.astype(node.dtype)
    limits = np.iinfo(node.dtype)
    steps = np.round(value.astype(np.float64) / node.quantized.scale) + node.quantized.zero_point
    return np.clip(steps, limits.min, limits.max).astype(node.dtype)


def real_numbers(stored: NDArray[Any], node: Node) -> NDArray[Any]:
    """What the stored values stand for."""
    if node.quantized is None or stored.dtype.kind not in "iu":
        return stored
    return (stored.astype(np.float64) - node.quantized.zero_point) * node.quantized.scale
