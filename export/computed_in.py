"""In which floating point type a SavedModel computes: a reference that rounds to few digits cannot ask for more."""

from __future__ import annotations

from pathlib import Path

_MODEL_FILE = "saved_model.pb"
_BIT_MOVERS = {"Cast", "Identity", "Const", "NoOp"}


def narrowest_float(saved_model: Path) -> str:
    """`bfloat16` or `float16` when an operation of the graph or of a function computes in it, else `float32`."""
    from tensorflow.core.framework import types_pb2
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((saved_model / _MODEL_FILE).read_bytes())
    used = {
        node.attr["T"].type
        for meta_graph in content.meta_graphs
        for nodes in (
            meta_graph.graph_def.node,
            *(function.node_def for function in meta_graph.graph_def.library.function),
        )
        for node in nodes
        if node.op not in _BIT_MOVERS and "T" in node.attr
    }
    if types_pb2.DT_BFLOAT16 in used:
        return "bfloat16"
    return "float16" if types_pb2.DT_HALF in used else "float32"
