"""Fused operations of a TF.js graph taken apart where TF.js has no kernel for the fusion.

TensorFlow's optimizer fuses a product with whatever is added to it and with the activation behind. TF.js adds a bias of
one dimension only, and its backends fuse few activations: an LSTM's `x W + h U`, or a Dense layer with tanh, fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_PLAIN = {"_FusedMatMul": "MatMul", "_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}
# What all four backends of TF.js 4.22 compute in one kernel with a product.
_ACTIVATIONS = frozenset({"Relu", "Relu6", "Elu", "Prelu", "LeakyRelu", "Sigmoid"})
_OF_FUSION = ("fused_ops", "num_args", "epsilon", "leakyrelu_alpha", "TArgs", "num_host_args", "host_args", "TPadding")


def take_fusions_apart(graph: Any) -> None:
    """Change a GraphDef in place: what stays fused is what every backend of TF.js can do."""
    nodes = {node.name: node for node in graph.node}
    apart = [part for node in graph.node for part in _parts(node, nodes)]
    del graph.node[:]
    graph.node.extend(apart)


def _parts(node: Any, nodes: Mapping[str, Any]) -> Sequence[Any]:
    """The node itself, or those that take its place, the last under its name."""
    steps = [step.decode() for step in node.attr["fused_ops"].list.s] if node.op in _PLAIN else []
    if not steps or steps[0] != "BiasAdd" or len(steps) > 2:
        return [node]
    activation = steps[1] if len(steps) == 2 else None
    vector = _is_vector(nodes[node.input[2].split(":", 1)[0]])
    if vector and (activation is None or activation in _ACTIVATIONS):
        return [node]
    inputs = [reference for reference in node.input if not reference.startswith("^")]
    waits = [reference for reference in node.input if reference.startswith("^")]
    product = type(node)(name=f"{node.name}/product", op=_PLAIN[node.op], input=[*inputs[:2], *waits])
    for key in node.attr.keys() - set(_OF_FUSION):
        product.attr[key].CopyFrom(node.attr[key])
    total = _after(node, product, "AddV2", [inputs[2]], name=f"{node.name}/sum" if activation else node.name)
    if activation is None:
        return [product, total]
    applied = _after(node, total, activation, inputs[3:], name=node.name)
    if activation == "LeakyRelu":
        applied.attr["alpha"].f = node.attr["leakyrelu_alpha"].f
    return [product, total, applied]


def _after(node: Any, before: Any, operation: str, further: Sequence[str], *, name: str) -> Any:
    made = type(node)(name=name, op=operation, input=[before.name, *further])
    made.attr["T"].CopyFrom(node.attr["T"])
    return made


def _is_vector(bias: Any) -> bool:
    return bool(bias.op == "Const" and len(bias.attr["value"].tensor.tensor_shape.dim) == 1)
