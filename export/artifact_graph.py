"""The operations of an artifact as every format has them: which reads which, and what each is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.core.signature import TensorSpec


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """How a tensor stands for real numbers: `(stored - zero_point) * scale`, one of each for the whole tensor."""

    scale: float
    zero_point: int


@dataclass(frozen=True, kw_only=True)
class Node:
    """One tensor that an operation makes, known by its handle.

    `names` are what the artifact calls it, several where operations were fused; `inputs` the handles that it reads,
    weights among them. `shape` has None for a size that varies, and is None where the format does not say.
    """

    handle: str
    names: tuple[str, ...]
    op: str
    inputs: tuple[str, ...]
    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None
    quantized: Quantized | None = None


@dataclass(frozen=True, kw_only=True)
class ArtifactGraph:
    """All that operations make, each after what it is made of; what is behind the signature's names."""

    nodes: tuple[Node, ...]
    inputs: Mapping[str, Node]
    outputs: Mapping[str, str]

    @cached_property
    def by_handle(self) -> Mapping[str, Node]:
        return {node.handle: node for node in self.nodes}

    @cached_property
    def fed(self) -> frozenset[str]:
        """The handles that depend on an input: the others are weights, and what is made of them alone."""
        fed = {node.handle for node in self.inputs.values()}
        for node in self.nodes:
            if not fed.isdisjoint(node.inputs):
                fed.add(node.handle)
        return frozenset(fed)

    def nearest(self, handle: str, stops: frozenset[str]) -> frozenset[str]:
        """The stops that are met first on the ways back from the handle, itself apart."""
        found: set[str] = set()
        seen: set[str] = set()
        waiting = list(self._read_by(handle))
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            if current in stops:
                found.add(current)
            else:
                waiting.extend(self._read_by(current))
        return frozenset(found)

    def between(self, handle: str, stops: frozenset[str]) -> tuple[Node, ...]:
        """The nodes that make the handle out of the nearest stops, in order, its own last."""
        wanted: set[str] = set()
        waiting = [handle]
        while waiting:
            current = waiting.pop()
            if current in wanted or (current in stops and current != handle):
                continue
            wanted.add(current)
            waiting.extend(self._read_by(current))
        return tuple(node for node in self.nodes if node.handle in wanted)

    def _read_by(self, handle: str) -> Sequence[str]:
        node = self.by_handle.get(handle)
        return () if node is None else node.inputs


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A tensor that goes into a cut artifact or comes out of it; `spec.name` is its name in the new signature."""

    handle: str
    spec: TensorSpec


def needed(makers: Mapping[str, Sequence[str]], wanted: Sequence[str]) -> set[str]:
    """Everything that the wanted handles depend on, themselves included; `makers` says what each handle reads."""
    reached: set[str] = set()
    waiting = list(wanted)
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached.add(current)
            waiting.extend(makers.get(current, ()))
    return reached
