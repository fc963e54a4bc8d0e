"""What a compared tensor is made of: in the trained model, and in the artifact, which may have lost a branch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from export.artifact_graph import ArtifactGraph
from pipeline.explain.points import Point
from pipeline.explain.trained import Anatomy, Operation


@dataclass(frozen=True, kw_only=True, eq=False)
class Sources:
    """Of one point. `operation_at` has the trained model's operation at each compared handle of the artifact."""

    point: Point
    anatomy: Anatomy
    graph: ArtifactGraph
    operation_at: Mapping[str, str]

    @cached_property
    def stops(self) -> frozenset[str]:
        """The compared operations from which on the point is made.

        All of them count, not only those that the artifact has right before the point. But one that the artifact goes
        past, and reads what comes before it, is looked into.
        """
        stops = frozenset(self.operation_at.values()) - {self.point.operation}
        while passed := self._passed(stops):
            stops -= passed
        return stops

    @cached_property
    def between(self) -> tuple[Operation, ...]:
        """The trained model's operations after the stops, in order, the point's own last."""
        return self.anatomy.between(self.point.operation, self.stops)

    @cached_property
    def lost(self) -> frozenset[str]:
        """The stops and inputs that nothing in the artifact leads from to the point."""
        return self._read(self.stops) - self._reached

    @property
    def joins(self) -> Operation | None:
        """Where in the trained model what is lost meets what is not; None where nothing or everything is lost."""
        of_lost, of_others = set(self.lost), set(self._read(self.stops) - self.lost)
        for operation in self.between if of_lost and of_others else ():
            reads = set(operation.inputs)
            if not of_lost.isdisjoint(reads) and not of_others.isdisjoint(reads):
                return operation
            if not of_lost.isdisjoint(reads):
                of_lost.add(operation.name)
            elif not of_others.isdisjoint(reads):
                of_others.add(operation.name)
        return None

    def _passed(self, stops: frozenset[str]) -> frozenset[str]:
        sources = self._read(stops)
        instead = self._reached - sources
        lost = (sources & stops) - self._reached
        return frozenset(stop for stop in lost if not instead.isdisjoint(self._before(stop)))

    def _before(self, name: str) -> set[str]:
        """All that the operation is made of."""
        return {read for operation in self.anatomy.between(name, frozenset()) for read in operation.inputs}

    def _read(self, stops: frozenset[str]) -> frozenset[str]:
        return frozenset(self._reads(self.anatomy.between(self.point.operation, stops)))

    def _reads(self, between: tuple[Operation, ...]) -> Iterator[str]:
        inside = {operation.name for operation in between}
        for operation in between:
            yield from (name for name in operation.inputs if name in self.anatomy.fed and name not in inside)

    @cached_property
    def _reached(self) -> frozenset[str]:
        """The trained model's operations and placeholders that the artifact makes the point of."""
        inputs = {node.handle: self.anatomy.placeholders.get(name, name) for name, node in self.graph.inputs.items()}
        met = self.graph.nearest(self.point.node.handle, frozenset(self.operation_at) | frozenset(inputs))
        held = {self.operation_at[handle] for handle in met if handle in self.operation_at}
        # An input that is quantized first is a point of its own, under the input's name.
        named = {self.anatomy.placeholders[name] for name in held if name in self.anatomy.placeholders}
        return frozenset(held | named | {inputs[handle] for handle in met if handle in inputs})
