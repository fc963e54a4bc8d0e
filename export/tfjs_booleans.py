"""Booleans of a TF.js graph as integers, for the operations whose wasm kernel takes every value to have four bytes.

In TF.js 4.22 `Reverse`, `Select` and a strided `StridedSlice` on wasm do not look at the type. With booleans, of one
byte, they answer wrongly and write beyond the tensor, after which anything may fail.
"""

from __future__ import annotations

from typing import Any

# The positions of the inputs that are values.
_BLIND = {"ReverseV2": (0,), "Select": (1, 2), "SelectV2": (1, 2), "StridedSlice": (0,)}


def widen_booleans(graph: Any) -> None:
    """Change a GraphDef in place: a Cast before each such operation on booleans, and one back behind it."""
    from tensorflow.core.framework import types_pb2

    made = []
    for node in graph.node:
        if node.op in _BLIND and node.attr["T"].type == types_pb2.DT_BOOL:
            for position in _BLIND[node.op]:
                widened = _cast(node, node.input[position], types_pb2.DT_BOOL, types_pb2.DT_INT32)
                widened.name = f"{node.name}/widened_{position}"
                node.input[position] = widened.name
                made.append(widened)
            back = _cast(node, f"{node.name}/wide", types_pb2.DT_INT32, types_pb2.DT_BOOL)
            back.name, node.name = node.name, f"{node.name}/wide"
            node.attr["T"].type = types_pb2.DT_INT32
            made.append(back)
    graph.node.extend(made)


def _cast(node: Any, reference: str, source: int, wanted: int) -> Any:
    made = type(node)(op="Cast", input=[reference])
    made.attr["SrcT"].type, made.attr["DstT"].type = source, wanted
    return made
