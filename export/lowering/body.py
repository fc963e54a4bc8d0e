"""A function of a SavedModel as lowerings see it: nodes, shapes, constants, and putting something in a node's place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from export.lowering.places import input_types, output_places, output_types
from export.lowering.tables import Tables

# One size a dimension, None where it is not known; None for a tensor of unknown rank.
Shape: TypeAlias = tuple[int | None, ...] | None


class Body:
    """One FunctionDef, changed in place. Its nodes name their inputs `node:argument:index`, or as an argument."""

    def __init__(self, function: Any, library: Any, tables: Tables | None = None) -> None:
        self._function = function
        self._library = library
        self._tables = tables or {}
        self._by_name = {node.name: node for node in function.node_def}

    def nodes(self) -> list[Any]:
        """The NodeDefs as they are now, in the order of the graph."""
        return list(self._function.node_def)

    def inputs(self, node: Any) -> list[str]:
        """What the node computes on, without the nodes that it only waits for."""
        return [name for name in node.input if not name.startswith("^")]

    def shape(self, reference: str) -> Shape:
        """The shape that TensorFlow inferred when the model was exported."""
        maker, _, place = reference.partition(":")
        if place:
            node = self._by_name[maker]
            return _shape_in(node.attr, output_places(node).index(place))
        position = [argument.name for argument in self._function.signature.input_arg].index(maker)
        return _shape_in(self._function.arg_attr[position].attr, 0)

    def outputs(self, node: Any) -> list[str]:
        """The tensors that the node makes, as others name them."""
        return [f"{node.name}:{place}" for place in output_places(node)]

    def dtype(self, reference: str) -> str:
        """The dtype of a tensor, by TensorFlow's name."""
        import tensorflow as tf

        maker, _, place = reference.partition(":")
        if place:
            node = self._by_name[maker]
            kind = output_types(node)[output_places(node).index(place)]
        else:
            kind = next(argument.type for argument in self._function.signature.input_arg if argument.name == maker)
        return str(tf.as_dtype(kind).name)

    def constant(self, reference: str) -> NDArray[Any] | None:
        """The value of a constant, or None when it is computed or an argument."""
        import tensorflow as tf

        node = self.maker(reference)
        return None if node is None or node.op != "Const" else np.asarray(tf.make_ndarray(node.attr["value"].tensor))

    def table(self, reference: str) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """The keys and values of a table that the function is given, or None when no constants say what it holds."""
        return self._tables.get((self._function.signature.name, reference))

    def maker(self, reference: str) -> Any | None:
        """The node that makes the tensor, Identity apart; None for an argument."""
        node = self._by_name.get(reference.partition(":")[0])
        while node is not None and node.op == "Identity":
            node = self._by_name.get(node.input[0].partition(":")[0])
        return node

    def replace(self, node: Any, by: Callable[..., Any], *, of: Sequence[str] | None = None) -> None:
        """Let the node compute `by(*inputs)`: a call of a function that is traced for the inputs' shapes and dtypes.

        Both converters put the function's body in the place of its call, below the node's own name. `by` returns as
        many tensors as the node did, of the same dtypes. With `of`, the node reads these tensors instead.
        """
        import tensorflow as tf

        kinds = input_types(node)
        before = output_places(node)
        if of is not None:
            kinds = [tf.as_dtype(self.dtype(name)).as_datatype_enum for name in of]
            node.input[:] = [*of, *(name for name in node.input if name.startswith("^"))]
        specs = [
            tf.TensorSpec(self.shape(name), tf.as_dtype(kind))
            for name, kind in zip(self.inputs(node), kinds, strict=True)
        ]
        traced = tf.function(by, autograph=False).get_concrete_function(*specs)
        called = type(self._function).FromString(traced.function_def.SerializeToString())
        called.signature.name = f"lowered_{node.op}_{len(self._library.function)}"
        _rename(called, {one.name for one in called.node_def if f"{node.name}/{one.name}" in self._by_name})
        self._library.function.extend([*traced.graph.as_graph_def().library.function, called])
        _call(node, called.signature.name, kinds, [tensor.dtype.as_datatype_enum for tensor in traced.outputs])
        self._renamed_outputs(node, before)

    def function(self, name: str) -> Body:
        """The function of that name in the library of this one."""
        return Body(next(one for one in self._library.function if one.signature.name == name), self._library)

    def output_shapes(self) -> list[Shape]:
        """The shapes of what the function returns, in the order of its signature."""
        return [self.shape(self._function.ret[output.name]) for output in self._function.signature.output_arg]

    def choose(self, node: Any) -> None:
        """Let a branch compute both of its sides, and choose between what they return."""
        from tensorflow.core.framework import types_pb2

        given, returned = node.attr["Tin"].list.type, node.attr["Tout"].list.type
        called = type(self._function)()
        called.signature.name = f"lowered_{node.op}_{len(self._library.function)}"
        for position, kind in enumerate((types_pb2.DT_BOOL, *given)):
            called.signature.input_arg.add(name=f"input_{position}", type=kind)
        for side in ("then_branch", "else_branch"):
            call = called.node_def.add(name=side, op="PartitionedCall")
            call.input.extend(f"input_{position}" for position in range(1, len(given) + 1))
            for attribute in ("Tin", "Tout", "_output_shapes"):
                call.attr[attribute].CopyFrom(node.attr[attribute])
            call.attr["f"].CopyFrom(node.attr[side])
        for position, kind in enumerate(returned):
            sides = (f"{side}:output:{position}" for side in ("then_branch", "else_branch"))
            chosen = called.node_def.add(name=f"chosen_{position}", op="SelectV2", input=("input_0", *sides))
            chosen.attr["T"].type = kind
            called.signature.output_arg.add(name=f"output_{position}", type=kind)
            called.ret[f"output_{position}"] = f"chosen_{position}:output:0"
        self._library.function.append(called)
        _call(node, called.signature.name, [types_pb2.DT_BOOL, *given], list(returned))

    def pass_on(self, node: Any) -> None:
        """Let the node hand on its first input as it is."""
        kind, *_ = input_types(node)
        before = output_places(node)
        first, *_ = self.inputs(node)
        node.input[:] = [first, *(name for name in node.input if name.startswith("^"))]
        _keep_only(node, {"_output_shapes"})
        node.op = "Identity"
        node.attr["T"].type = kind
        self._renamed_outputs(node, before)

    def silence(self, node: Any) -> None:
        """Let the node do nothing, after what it waited for. Only for nodes whose outputs nobody reads."""
        node.input[:] = [name for name in node.input if name.startswith("^")]
        _keep_only(node, set())
        node.op = "NoOp"

    def unmark(self, name: str, marks: Collection[str]) -> bool:
        """Take attributes off the function of that name; True when it had any of them."""
        found = False
        for function in self._library.function:
            if function.signature.name == name:
                for mark in [mark for mark in marks if mark in function.attr]:
                    del function.attr[mark]
                    found = True
        return found

    def prune(self) -> None:
        """Drop the nodes that neither an output nor an effect asks for."""
        wanted = [value.partition(":")[0] for value in self._function.ret.values()]
        wanted += list(self._function.control_ret.values())
        needed: set[str] = set()
        while wanted:
            name = wanted.pop()
            if name not in needed and name in self._by_name:
                needed.add(name)
                wanted += [source.removeprefix("^").partition(":")[0] for source in self._by_name[name].input]
        for position in reversed(range(len(self._function.node_def))):
            if self._function.node_def[position].name not in needed:
                del self._function.node_def[position]
        # Deleting moves the messages, and what was held of them before may be another now.
        self._by_name = {node.name: node for node in self._function.node_def}

    def _renamed_outputs(self, node: Any, before: list[str]) -> None:
        names = {
            f"{node.name}:{old}": f"{node.name}:{new}" for old, new in zip(before, output_places(node), strict=True)
        }
        for consumer in self._function.node_def:
            for position, name in enumerate(consumer.input):
                if name in names:
                    consumer.input[position] = names[name]
        for key, value in self._function.ret.items():
            if value in names:
                self._function.ret[key] = names[value]


def _rename(function: Any, names: Collection[str]) -> None:
    """Give nodes of the function other names: inlined, they would bear those of nodes beside the call.

    TensorFlow's optimizer ends the process then.
    """
    others = {name: f"{name}_lowered" for name in names}

    def renamed(reference: str) -> str:
        waits, maker = "^" if reference.startswith("^") else "", reference.removeprefix("^")
        name, colon, place = maker.partition(":")
        return f"{waits}{others.get(name, name)}{colon}{place}"

    for node in function.node_def:
        node.name = renamed(node.name)
        node.input[:] = [renamed(source) for source in node.input]
    for results in (function.ret, function.control_ret):
        for key, value in results.items():
            results[key] = renamed(value)


def _shape_in(attributes: Any, position: int) -> Shape:
    shapes = attributes["_output_shapes"].list.shape if "_output_shapes" in attributes else ()
    if position >= len(shapes) or shapes[position].unknown_rank:
        return None
    return tuple(None if dimension.size < 0 else int(dimension.size) for dimension in shapes[position].dim)


def _call(node: Any, function: str, given: Sequence[int], returned: Sequence[int]) -> None:
    """Let the node call the function, on what it is given already."""
    _keep_only(node, {"_output_shapes"})
    node.op = "PartitionedCall"
    node.attr["Tin"].list.type.extend(given)
    node.attr["Tout"].list.type.extend(returned)
    node.attr["f"].func.name = function


def _keep_only(node: Any, kept: set[str]) -> None:
    for key in [key for key in node.attr if key not in kept]:
        del node.attr[key]
