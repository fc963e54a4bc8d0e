"""The trained model's graph with something in it changed, computed from the compared tensors before it.

Only what lies between those and the tensor that is asked for is computed, however large the model is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors
from pipeline.explain.trained import Anatomy, TrainedModel

Rewire: TypeAlias = "Callable[[Bench], Any]"
"""Makes the tensor in question on a bench: what the trained model would have there after a fault."""


class DoesNotFit(Exception):
    """A change after which the rest of the model would not run."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """A piece of the trained graph inside the graph that is being traced. `at` is the operation in question."""

    anatomy: Anatomy
    at: str
    definition: Any
    feeds: Mapping[str, Any]

    def tensor(self, name: str, replaced: Mapping[str, Any] | None = None) -> Any:
        """What the operation computes when other tensors stand in the `replaced` operations' places.

        Raises DoesNotFit for a tensor of another shape or type than that of the operation it replaces.
        """
        import tensorflow as tf

        changes = replaced or {}
        for operation, tensor in changes.items():
            self._check(operation, tensor)
        given = {**self.feeds, **{tensor_name(operation): tensor for operation, tensor in changes.items()}}
        if tensor_name(name) in given:
            return given[tensor_name(name)]
        piece = _pruned(self.definition, name, frozenset(given))
        read = {full_name(one) for node in piece.node for one in node.input if not one.startswith("^")}
        mapped = {key: tensor for key, tensor in given.items() if key in read}
        (made,) = tf.graph_util.import_graph_def(
            piece, input_map=mapped, return_elements=[tensor_name(name)], name="piece"
        )
        return made

    def again(self, name: str, inputs: Mapping[str, Any]) -> Any:
        """What this one operation computes when it reads other tensors under these names; all else stays."""
        import tensorflow as tf
        from tensorflow.core.framework.graph_pb2 import GraphDef

        own = next(node for node in self.definition.node if node.name == name)
        read = [one for one in own.input if not one.startswith("^")]
        given = {
            full_name(one): inputs[plain] if (plain := _plain(one)) in inputs else self.tensor(plain) for one in read
        }
        piece = GraphDef(versions=self.definition.versions, library=self.definition.library)
        piece.node.add().CopyFrom(own)
        del piece.node[0].input[len(read) :]
        (made,) = tf.graph_util.import_graph_def(
            piece, input_map=given, return_elements=[tensor_name(name)], name="again"
        )
        return made

    def with_replaced(self, replaced: Mapping[str, Any]) -> Any:
        """The tensor in question, with other tensors in the replaced operations' places."""
        return self.tensor(self.at, replaced)

    def _check(self, name: str, tensor: Any) -> None:
        operation = self.anatomy.by_name[name]
        known = operation.shape is not None and tensor.shape.rank is not None
        if tensor.dtype.name != operation.dtype or (
            known and tuple(tensor.shape.as_list()[1:]) != (operation.shape or ())[1:]
        ):
            raise DoesNotFit(f"{name} is {operation.dtype} {operation.shape}, not {tensor.dtype.name} {tensor.shape}")


def computed(
    trained: TrainedModel, at: str, rewires: Sequence[Rewire], *, held: Tensors, samples: Tensors
) -> list[NDArray[Any] | None]:
    """What the operation `at` would hold after each change; None where the change does not fit.

    `held` are the trained model's values at other operations, [sample, ...], from which on it is computed.
    """
    import tensorflow as tf

    whole = trained.exported_graph
    stops = frozenset(map(tensor_name, held)) - {tensor_name(at)}
    placeholders = {tensor_name(whole.placeholders[name]): array for name, array in samples.items()}
    given = {tensor_name(name): array for name, array in held.items() if name != at} | placeholders
    definition = _pruned(whole.definition, at, stops)
    read = {full_name(one) for node in definition.node for one in node.input if not one.startswith("^")}
    given = {name: array for name, array in given.items() if name in read}
    fitting: list[int] = []

    def trace(*tensors: Any) -> list[Any]:
        fitting.clear()
        graph = tf.compat.v1.get_default_graph()
        feeds = dict(zip(given, tensors, strict=True))
        feeds |= {name: graph.capture(outer) for name, outer in whole.captured.items() if name in read}
        bench = Bench(anatomy=trained.anatomy, at=at, definition=definition, feeds=feeds)
        answers = []
        for position, rewire in enumerate(rewires):
            try:
                answers.append(rewire(bench))
            except (DoesNotFit, ValueError, TypeError):
                # What TensorFlow raises for shapes that do not go together.
                continue
            fitting.append(position)
        return answers

    specs = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in given.values()]
    concrete = tf.function(trace, autograph=False).get_concrete_function(*specs)
    answers = concrete(*map(tf.constant, given.values())) if fitting else []
    found: list[NDArray[Any] | None] = [None] * len(rewires)
    for position, answer in zip(fitting, answers, strict=True):
        found[position] = np.asarray(answer)
    return found


def tensor_name(operation: str) -> str:
    """The full name of the tensor that goes by an operation's name: `name:0` for a first output."""
    return operation if ":" in operation else f"{operation}:0"


def full_name(read: str) -> str:
    """A node's input as a tensor's full name."""
    return read if ":" in read else f"{read}:0"


def _plain(read: str) -> str:
    """A node's input as the anatomy calls it: without the number of a first output."""
    return read.removesuffix(":0")


def _pruned(definition: Any, wanted: str, stops: frozenset[str]) -> Any:
    """The nodes that make the wanted tensor out of the stops, which are full names."""
    from tensorflow.core.framework.graph_pb2 import GraphDef

    nodes = {node.name: node for node in definition.node}
    needed: set[str] = set()
    waiting = [wanted.partition(":")[0]]
    while waiting:
        name = waiting.pop()
        if name in needed or name not in nodes:
            continue
        needed.add(name)
        for read in nodes[name].input:
            if read.startswith("^"):
                waiting.append(read[1:])
            elif full_name(read) not in stops:
                waiting.append(read.partition(":")[0])
    piece = GraphDef(versions=definition.versions, library=definition.library)
    piece.node.extend(node for node in definition.node if node.name in needed)
    return piece
