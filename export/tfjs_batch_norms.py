"""Batch normalizations folded into the convolutions before them, as TF.js's converter does, but a whole array at once.

The converter's own pass multiplies one weight after the other in Python: most of the time of a network of convolutions.
What is folded, its names and its values are the same to the bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.stand_ins import StandIns

_NORMALIZATIONS = {"FusedBatchNorm", "FusedBatchNormV3"}
_CONVOLUTIONS = {"Conv2D", "DepthwiseConv2dNative"}
_ADDITIONS = {"BiasAdd", "Add", "AddV2"}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fold:
    """A normalization, the convolution before it, and all nodes that the two make superfluous."""

    norm: Any
    convolution: Any
    weights: Any
    scale: NDArray[Any]
    offset: NDArray[Any]
    gone: frozenset[str]


def fold_batch_norms(graph: Any, large: StandIns) -> Any:
    """The GraphDef with a BiasAdd for every normalization that can be folded; its nodes come last."""
    nodes = {node.name: node for node in graph.node}
    reads = Counter(_name(source) for node in graph.node for source in node.input)
    folds = [fold for node in graph.node if (fold := _fold_of(node, nodes, reads, large)) is not None]
    gone = {name for fold in folds for name in fold.gone}
    result = type(graph)(versions=graph.versions, library=graph.library)
    for node in graph.node:
        if node.name not in gone:
            copy = result.node.add()
            copy.CopyFrom(node)
            copy.input[:] = [name for name in copy.input if not (name.startswith("^") and name[1:] in gone)]
    for fold in folds:
        _write(fold, result, large)
    return result


def _fold_of(norm: Any, nodes: Mapping[str, Any], reads: Mapping[str, int], large: StandIns) -> _Fold | None:
    if norm.op not in _NORMALIZATIONS or norm.attr["is_training"].b:
        return None
    before = nodes[_name(norm.input[0])]
    convolution, bias = before, None
    if before.op in _ADDITIONS:
        convolution, bias = (nodes[_name(name)] for name in before.input[:2])
        if convolution.op not in _CONVOLUTIONS:
            convolution, bias = bias, convolution
    if convolution.op not in _CONVOLUTIONS:
        return None
    weights = nodes[_name(convolution.input[1])]
    vectors = [nodes[_name(name)] for name in norm.input[1:5]] + ([] if bias is None else [bias])
    if any(node.op != "Const" for node in (weights, *vectors)):
        return None
    # What something else reads, too, has to stay as it is.
    if any(reads[node.name] > 1 for node in (weights, convolution, before)):
        return None
    gamma, beta, mean, variance, *added = (large.value(node) for node in vectors)
    shape = large.value(weights).shape
    channels = shape[3] if convolution.op == "Conv2D" else shape[2] * shape[3]
    if any(vector.shape != (channels,) for vector in (gamma, beta, mean, variance, *added)):
        return None
    if added:
        mean = mean - added[0]
    # The root in float64 of a sum in float32: as the converter rounds.
    scale = (1.0 / np.sqrt((variance + norm.attr["epsilon"].f).astype(np.float64))) * gamma
    return _Fold(
        norm=norm,
        convolution=convolution,
        weights=weights,
        scale=scale,
        offset=((-mean * scale) + beta).astype(mean.dtype),
        gone=frozenset({norm.name, convolution.name, weights.name, before.name}),
    )


def _write(fold: _Fold, graph: Any, large: StandIns) -> None:
    import tensorflow as tf

    weights, convolution = large.value(fold.weights), fold.convolution
    scale = fold.scale if convolution.op == "Conv2D" else fold.scale.reshape(weights.shape[2:])
    scaled = (weights * scale).astype(weights.dtype)
    node = graph.node.add(name=f"{convolution.name}_weights", op="Const")
    node.attr["dtype"].CopyFrom(fold.weights.attr["dtype"])
    if large.holds(fold.weights):
        large.release(fold.weights)
        large.conceal(node, scaled)
    else:
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(scaled))
    copy = graph.node.add()
    copy.CopyFrom(convolution)
    copy.input[1] = node.name
    offset = graph.node.add(name=f"{convolution.name}_bn_offset", op="Const")
    offset.attr["dtype"].CopyFrom(fold.weights.attr["dtype"])
    offset.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(fold.offset))
    bias_add = graph.node.add(name=fold.norm.name, op="BiasAdd", input=[convolution.name, offset.name])
    bias_add.attr["T"].CopyFrom(convolution.attr["T"])
    bias_add.attr["data_format"].CopyFrom(convolution.attr["data_format"])


def _name(source: str) -> str:
    return source.removeprefix("^").partition(":")[0]
