"""A node's operation as a function of tensors: TensorFlow's own, with the node's attributes but for the types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from export.lowering.places import attribute


def raw_operation(node: Any) -> Callable[..., Any]:
    """What computes on tensors as the node does on its inputs, in their order; types are those of the tensors."""
    from tensorflow.python.framework import op_def_library, op_def_registry

    definition = op_def_registry.get(node.op)
    told = {a.type_attr for a in definition.input_arg} | {a.number_attr for a in definition.input_arg}
    settings = {one.name: _plain(attribute(node, one.name)) for one in definition.attr if one.name not in told}

    def compute(*tensors: Any) -> Any:
        waiting = list(tensors)
        given: dict[str, Any] = {}
        for argument in definition.input_arg:
            count = int(node.attr[argument.number_attr].i) if argument.number_attr else 1
            taken, waiting = waiting[:count], waiting[count:]
            given[argument.name] = taken if argument.number_attr else taken[0]
        # `tf.raw_ops` has other names for some of them.
        return op_def_library.apply_op(node.op, **given, **settings)

    return compute


def _plain(value: Any) -> Any:
    match value.WhichOneof("value"):
        case "list":
            return list(value.list.i)
        case "s":
            return value.s.decode()
        case kind:
            return getattr(value, str(kind))
