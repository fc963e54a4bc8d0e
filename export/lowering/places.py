"""How FunctionDefs name tensors: `node:argument:index`, after the argument names in the operation's definition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def input_types(node: Any) -> list[int]:
    """The type (an enum of types.proto) of every input that the node computes on, in order."""
    return [kind for _, kind in _expanded(node, _definition(node).input_arg)]


def output_types(node: Any) -> list[int]:
    """The type of every output of the node, in order."""
    return [kind for _, kind in _expanded(node, _definition(node).output_arg)]


def output_places(node: Any) -> list[str]:
    """How consumers name each output of the node, in order: `output:0`, or `values:0` and `indices:0`."""
    return [place for place, _ in _expanded(node, _definition(node).output_arg)]


def _definition(node: Any) -> Any:
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(node.op)
    if definition is None:
        raise KeyError(f"TensorFlow has no operation {node.op}")
    return definition


def _expanded(node: Any, arguments: Any) -> Iterator[tuple[str, int]]:
    """An argument may stand for several tensors: a number of one type, or a list of types."""
    for argument in arguments:
        if argument.type_list_attr:
            kinds = list(attribute(node, argument.type_list_attr).list.type)
        else:
            kind = attribute(node, argument.type_attr).type if argument.type_attr else argument.type
            kinds = [kind] * (int(attribute(node, argument.number_attr).i) if argument.number_attr else 1)
        yield from ((f"{argument.name}:{index}", kind) for index, kind in enumerate(kinds))


def attribute(node: Any, name: str) -> Any:
    """The node's attribute, or its default: a SavedModel leaves out what is as it is by default."""
    # One that was asked for before is there, without a value.
    if name in node.attr and node.attr[name].WhichOneof("value") is not None:
        return node.attr[name]
    return next(attribute.default_value for attribute in _definition(node).attr if attribute.name == name)
