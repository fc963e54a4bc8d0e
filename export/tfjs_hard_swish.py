"""Hard swish as the operations that TF.js has.

Where TensorFlow computes with oneDNN, its optimizer makes one operation of `x * relu6(x + 3) / 6`. The converter
lets it pass, and no backend of TF.js knows it: every MobileNetV3 failed in the browser.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_FUSED = "_FusedHardSwish"


def take_hard_swish_apart(graph: Any) -> Any:
    """The GraphDef with each fused hard swish written out, the product under the fused node's name."""
    if not any(node.op == _FUSED for node in graph.node):
        return graph
    apart = type(graph)()
    apart.CopyFrom(graph)
    fused = [node for node in apart.node if node.op == _FUSED]
    for node in fused:
        _write_out(apart, node)
    return apart


def _write_out(graph: Any, node: Any) -> None:
    value, *waits = node.input
    kind = node.attr["T"]
    made = {
        "moved": ("AddV2", [value, _constant(graph, f"{node.name}/three", 3.0)]),
        "gate": ("Relu6", [f"{node.name}/moved"]),
        "gated": ("Mul", [value, f"{node.name}/gate"]),
    }
    for name, (operation, inputs) in made.items():
        graph.node.add(name=f"{node.name}/{name}", op=operation, input=inputs).attr["T"].CopyFrom(kind)
    sixth = _constant(graph, f"{node.name}/sixth", 1 / 6)
    node.op = "Mul"
    node.input[:] = [f"{node.name}/gated", sixth, *waits]
    for key in set(node.attr) - {"T"}:
        del node.attr[key]


def _constant(graph: Any, name: str, value: float) -> str:
    import tensorflow as tf

    node = graph.node.add(name=name, op="Const")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.float32(value)))
    return name
