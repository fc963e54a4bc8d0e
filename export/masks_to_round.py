"""Where a graph masks attention's scores, which a quantized file leaves in float (`export/masked_scores.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from export.graph_to_round import GraphToRound
from export.masked_scores import masked_scores
from pipeline.core.signature import Tensors

_IN_TFLITE = {
    "Add": "ADD",
    "AddV2": "ADD",
    "ExpandDims": "EXPAND_DIMS",
    "GatherV2": "GATHER",
    "MaxPool": "MAX_POOL_2D",
    "Minimum": "MINIMUM",
    "Reshape": "RESHAPE",
    "Select": "SELECT",
    "SelectV2": "SELECT_V2",
    "Slice": "SLICE",
    "Softmax": "SOFTMAX",
    "Split": "SPLIT",
    "Squeeze": "SQUEEZE",
    "StridedSlice": "STRIDED_SLICE",
    "Sub": "SUB",
    "Transpose": "TRANSPOSE",
}


def masking(graph: GraphToRound, samples: Tensors) -> dict[str, list[int]]:
    """Each operation from unmasked scores to their softmax, with the positions at which it reads such scores.

    The samples are answered once, and only if anything joins scores before a softmax. What is computed in a loop or in
    a branch has no range that could be asked, and counts as unmasked. Raises what TensorFlow raises.
    """
    import tensorflow as tf

    with tf.Graph().as_default() as built:
        tf.graph_util.import_graph_def(graph.graph, name="")
        ranged = _Ranged(built)
        # Ranges are what is asked for first, when all are zero.
        masked_scores(ranged)
        always = _computed_always(built)
        widths = {name: _width(one) for name, one in ranged.asked.items() if one.op in always}
        if widths:
            outputs = {name: width.name for name, width in widths.items()}
            asked = GraphToRound(graph=built.as_graph_def(), inputs=graph.inputs, outputs=outputs)
            ranged.widths = {name: float(width) for name, width in asked.answers(samples).items()}
    found = masked_scores(ranged)
    return {operation.name: _scores_read(operation, ranged, found) for operation in found.values()}


class _Ranged:
    """A TensorFlow graph as a `RangedGraph`, whose tensors go by their names."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self.widths: Mapping[str, float] = {}
        self.asked: dict[str, Any] = {}

    def operations(self) -> Iterator[Any]:
        return iter(self._graph.get_operations())

    def kind(self, operation: Any) -> str:
        return _IN_TFLITE.get(operation.type, "")

    def made(self, operation: Any) -> str:
        return str(operation.outputs[0].name)

    def floats_read(self, operation: Any) -> list[str]:
        return [tensor.name for tensor in operation.inputs if tensor.dtype.is_floating]

    def maker(self, tensor: str) -> Any:
        return _computed(self._graph.get_tensor_by_name(tensor)).op

    def is_constant(self, tensor: str) -> bool:
        return bool(self.maker(tensor).type == "Const")

    def width(self, tensor: str) -> float:
        self.asked[tensor] = self._graph.get_tensor_by_name(tensor)
        return self.widths.get(tensor, 0.0)


def _computed(tensor: Any) -> Any:
    """Identity only hands on, and so does Enter, which hands a constant into a loop."""
    while tensor.op.type in ("Identity", "Enter"):
        tensor = tensor.op.inputs[0]
    return tensor


def _computed_always(graph: Any) -> set[Any]:
    """The operations outside of loops and branches."""
    within: dict[Any, int] = {}
    for operation in graph.get_operations():
        before = (*(tensor.op for tensor in operation.inputs), *operation.control_inputs)
        within[operation] = max((within.get(one, 0) for one in before), default=0) + _enters(operation)
    return {operation for operation, depth in within.items() if depth == 0}


def _enters(operation: Any) -> int:
    """1 where a loop or a branch begins, -1 where it ends; what goes round in a loop does neither."""
    kinds = {tensor.op.type for tensor in operation.inputs}
    begins = operation.type == "Enter" or (operation.type == "Switch" and "LoopCond" not in kinds)
    ends = operation.type == "Exit" or (operation.type == "Merge" and "NextIteration" not in kinds)
    return int(begins) - int(ends)


def _width(tensor: Any) -> Any:
    import tensorflow as tf

    return tf.maximum(tf.reduce_max(tensor), 0) - tf.minimum(tf.reduce_min(tensor), 0)


def _scores_read(operation: Any, graph: _Ranged, masked: Mapping[str, Any]) -> list[int]:
    return [
        at
        for at, tensor in enumerate(operation.inputs)
        if tensor.dtype.is_floating and not graph.is_constant(tensor.name) and _computed(tensor).name not in masked
    ]
