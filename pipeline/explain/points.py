"""Where an artifact can be compared with the trained model: its tensors paired with the model's operations, by name.

A converter fuses operations (the tensor then has all their names, or the last one's), drops some, and exchanges some:
grappler moves a ReLU behind the pooling that follows it. `paired` undoes the last: where the artifact has two
operations in the other order than the model, only the later one is compared, with what the model has after both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from export.artifact_graph import ArtifactGraph, Node
from export.layer_of_node import layer_of_node
from pipeline.explain.trained import Anatomy, Layer, Operation

_CONVERTS = frozenset({"QUANTIZE", "DEQUANTIZE"})
_PASSES_ON = frozenset({"Identity", "IdentityN", "StopGradient"})


@dataclass(frozen=True, kw_only=True)
class Point:
    """One tensor of the artifact and the operation (or input) of the trained model whose value it should hold."""

    node: Node
    operation: str
    layer: str


def paired(graph: ArtifactGraph, anatomy: Anatomy) -> tuple[Point, ...]:
    """Every pair, in the artifact's order; the tensors behind the signature's outputs are always among them."""
    named = _Names.of(anatomy)
    points = {point.node.handle: point for point in _by_name(graph, anatomy, named)}
    points |= _by_layer(graph, anatomy, points)
    points = _without_exchanged(points, graph, anatomy)
    for output, operation in anatomy.answers.items():
        node = graph.by_handle.get(graph.outputs.get(output, ""))
        if node is not None and node.handle not in points and not _given_by(node, operation, points, graph):
            points[node.handle] = Point(node=node, operation=operation, layer=anatomy.by_name[operation].layer)
    return tuple(points[node.handle] for node in graph.nodes if node.handle in points)


def owner(node: Node, anatomy: Anatomy) -> Layer | None:
    """The layer in whose scope the artifact's operation lies, by its first name, the innermost of nested ones."""
    for name in node.names[:1]:
        place = f"/{name.partition(':')[0]}/"
        within = [layer for layer in anatomy.layers if layer.scope and f"/{layer.scope}/" in place]
        if within:
            return max(within, key=lambda layer: len(layer.scope))
        # Written by another exporter, which has other scopes of its own around those of the layers.
        return anatomy.layer(layer_of_node(name, anatomy.layer_names))
    return None


@dataclass(frozen=True, kw_only=True)
class _Names:
    """The trained model's operations that hold a row a sample, by exact name and by name without its numbers."""

    exact: Mapping[str, Operation]
    plain: Mapping[str, Operation | None]

    @staticmethod
    def of(anatomy: Anatomy) -> _Names:
        fed: set[str] = set()
        exact: dict[str, Operation] = {}
        plain: dict[str, Operation | None] = {}
        for operation in anatomy.operations:
            if not operation.inputs and operation.op in ("Const", "Placeholder"):
                continue
            fed.add(operation.name)
            if operation.shape and operation.shape[0] is None and operation.dtype not in ("resource", "string"):
                exact[operation.name] = operation
                name = _without_counters(operation.name)
                plain[name] = None if name in plain else operation
        return _Names(exact=exact, plain=plain)

    def find(self, name: str) -> Operation | None:
        """The operation that an artifact means by a name, which may have scopes of its own before it."""
        candidates = list(_endings(name.removesuffix(":0")))
        found = next((self.exact[ending] for ending in candidates if ending in self.exact), None)
        if found is not None:
            return found
        # TFLite's converter tells tensors of one name apart by a number at the end: `MatMul1`.
        plain = [_without_counters(re.sub(r"(?<=[A-Za-z])\d+$", "", ending)) for ending in candidates]
        return next((self.plain[ending] for ending in plain if self.plain.get(ending) is not None), None)


def _endings(name: str) -> Iterator[str]:
    parts = name.split("/")
    yield from ("/".join(parts[start:]) for start in range(len(parts)))


def _without_counters(name: str) -> str:
    # A layer that was called in several models has several: `strokes_1_2`.
    return "/".join(re.sub(r"(_\d+)+$", "", part) for part in name.split("/"))


def _by_name(graph: ArtifactGraph, anatomy: Anatomy, named: _Names) -> Iterator[Point]:
    inputs = {node.handle: name for name, node in graph.inputs.items()}
    holders: dict[str, Point] = {}
    last: dict[str, str] = {}
    for node in graph.nodes:
        if node.handle not in graph.fed:
            continue
        meant = [found for found in map(named.find, node.names) if found is not None]
        if meant:
            operation = max(meant, key=lambda each: anatomy.position[each.name])
            before = holders.get(last.get(operation.name, ""))
            # What only turns a tensor that was there already, such as a transposition put in, is another operation.
            if _may_be(node, operation) and (before is None or _is(node, operation) or not _is(before.node, operation)):
                # Of several with one name the last is the whole; the others are steps on the way to it.
                if before is not None:
                    del holders[before.node.handle]
                holders[node.handle] = Point(node=node, operation=operation.name, layer=operation.layer)
                last[operation.name] = node.handle
        elif node.op in _CONVERTS and node.inputs[0] in inputs:
            name = inputs[node.inputs[0]]
            holders[node.handle] = Point(node=node, operation=name, layer=name)
        elif node.op in _CONVERTS and node.inputs[0] in holders:
            holders[node.handle] = replace(holders[node.inputs[0]], node=node)
    yield from holders.values()


def _by_layer(graph: ArtifactGraph, anatomy: Anatomy, points: Mapping[str, Point]) -> dict[str, Point]:
    """The last operation in the scope of a layer whose own last operation was not found: it became another one."""
    found = {point.operation for point in points.values()}
    last: dict[str, Point] = {}
    for node in graph.nodes:
        layer = owner(node, anatomy) if node.handle in graph.fed and node.handle not in points else None
        operation = None if layer is None or layer.gives is None else anatomy.by_name.get(layer.gives)
        if layer is None or operation is None or operation.name in found or operation.layer != layer.name:
            continue
        if operation.name in anatomy.answers.values():
            # The signature says which tensor that is.
            continue
        if _may_be(node, operation):
            last[operation.name] = Point(node=node, operation=operation.name, layer=layer.name)
    return {point.node.handle: point for point in last.values()}


def _is(node: Node, operation: Operation) -> bool:
    """Whether the shapes are the same, as far as they are known."""
    if node.shape is None or operation.shape is None or len(node.shape) != len(operation.shape):
        return node.shape is None or operation.shape is None
    sizes = zip(node.shape[1:], operation.shape[1:], strict=True)
    return all(one is None or other is None or one == other for one, other in sizes)


def _may_be(node: Node, operation: Operation) -> bool:
    """Whether the shapes are the same but for an order of dimensions, which a fault may have changed."""
    if node.shape is None or operation.shape is None:
        return True
    unknown = None in node.shape[1:] or None in operation.shape[1:]
    return len(node.shape) == len(operation.shape) and (
        unknown or sorted(map(str, node.shape[1:])) == sorted(map(str, operation.shape[1:]))
    )


def _without_exchanged(points: Mapping[str, Point], graph: ArtifactGraph, anatomy: Anatomy) -> dict[str, Point]:
    kept = dict(points)
    for handle in points:
        while handle in kept:
            point = kept[handle]
            later = next(
                (
                    before
                    for before in sorted(graph.nearest(handle, frozenset(kept)))
                    if _depends(kept[before].operation, point.operation, anatomy)
                ),
                None,
            )
            if later is None:
                break
            kept[handle] = replace(point, operation=kept[later].operation, layer=kept[later].layer)
            del kept[later]
    return kept


def _depends(operation: str, on: str, anatomy: Anatomy) -> bool:
    if operation == on or anatomy.position.get(operation, -1) < anatomy.position.get(on, -1):
        return False
    return any(each.name == on for each in anatomy.between(operation, frozenset()))


def _given_by(node: Node, operation: str, points: Mapping[str, Point], graph: ArtifactGraph) -> bool:
    """Whether the node only passes on what a point of that operation holds."""
    current: Node | None = node
    while current is not None and current.op in _PASSES_ON:
        handle = current.inputs[0]
        if handle in points:
            return points[handle].operation == operation
        current = graph.by_handle.get(handle)
    return False
