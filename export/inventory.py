"""The operations of a model, and what becomes of them on the way to TF.js: the facts that preflight goes by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.functions_called import functions_called
from export.layer_of_node import LayerNames, layer_of_node
from export.lowered_saved_model import Used, lowered
from export.tfjs_booleans import widen_booleans
from export.tfjs_fused import take_fusions_apart
from export.tfjs_graph import UnsupportedOperations, optimized_graph
from pipeline.core.artifact import Format


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One kind of operation: how often it is there, in which layers, and whether TensorFlow itself knows it."""

    name: str
    count: int
    layers: tuple[str, ...]
    registered: bool = True


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """`model` are the operations of the SavedModel, `tfjs` those of the graph that TF.js would get.

    `tfjs_lacks` are those for which there would be no such graph, `tfjs_problem` is any
    other reason for that. `lowered` says, by format, what was lowered.
    """

    model: tuple[Operation, ...]
    tfjs: tuple[Operation, ...]
    tfjs_lacks: tuple[Operation, ...]
    tfjs_problem: str | None
    lowered: Mapping[str, tuple[Used, ...]]


def inventory_of(
    saved_model: Path, signature_name: str, *, scratch: Path, names: LayerNames | None, lowering: bool
) -> Inventory:
    """Look at one signature. Nothing is converted, and no weights are written."""
    found: dict[str, tuple[Used, ...]] = {}
    with lowered(saved_model, scratch=scratch, target=Format.TFLITE, lowering=lowering) as source:
        found[Format.TFLITE] = source.used
    with lowered(saved_model, scratch=scratch, target=Format.TFJS, lowering=lowering) as source:
        found[Format.TFJS] = source.used
        try:
            graph = optimized_graph(source.folder, signature_name)
            take_fusions_apart(graph)
            widen_booleans(graph)
            tfjs = _grouped(_nodes_of(graph), names)
            lacks: tuple[Operation, ...] = ()
            problem = None
        except UnsupportedOperations as error:
            tfjs, problem = (), None
            lacks = _grouped(((operation, node) for operation, nodes in error.nodes.items() for node in nodes), names)
        except Exception as error:  # noqa: BLE001  # the converter's passes raise plain Exception; it is told, not lost
            tfjs, lacks = (), ()
            problem = " ".join(str(error).split()) or type(error).__name__
    return Inventory(
        model=_grouped(_nodes_in(saved_model, signature_name), names),
        tfjs=tfjs,
        tfjs_lacks=lacks,
        tfjs_problem=problem,
        lowered=found,
    )


def _grouped(nodes: Iterable[tuple[str, str]], names: LayerNames | None) -> tuple[Operation, ...]:
    from tensorflow.python.framework import op_def_registry

    by_name: dict[str, list[str]] = defaultdict(list)
    for operation, node in nodes:
        by_name[operation].append(node)
    return tuple(
        Operation(
            name=name,
            count=len(found),
            layers=tuple(dict.fromkeys(layer for node in found if (layer := layer_of_node(node, names)))),
            registered=op_def_registry.get(name) is not None,
        )
        for name, found in sorted(by_name.items())
    )


def _nodes_of(graph: Any) -> Iterator[tuple[str, str]]:
    for node in graph.node:
        yield node.op, node.name
    for function in graph.library.function:
        for node in function.node_def:
            yield node.op, node.name


def _nodes_in(saved_model: Path, signature_name: str) -> Iterator[tuple[str, str]]:
    """The nodes that the signature's outputs depend on, those of the functions that it calls included."""
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
    graph = content.meta_graphs[0]
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    outputs = [info.name for info in graph.signature_def[signature_name].outputs.values()]
    main = {node.name: node for node in graph.graph_def.node}
    waiting = list(_upstream(outputs, main))
    seen: set[str] = set()
    while waiting:
        node = waiting.pop()
        yield node.op, node.name
        for name in functions_called(node):
            if name in functions and name not in seen:
                seen.add(name)
                waiting += functions[name].node_def


def _upstream(outputs: Iterable[str], nodes: Mapping[str, Any]) -> Iterator[Any]:
    wanted, seen = list(outputs), set[str]()
    while wanted:
        name = wanted.pop().removeprefix("^").partition(":")[0]
        if name in nodes and name not in seen:
            seen.add(name)
            yield nodes[name]
            wanted += nodes[name].input
