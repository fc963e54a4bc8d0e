"""Transposed convolutions with weights in 8 bits beside activations in float: tflite-runtime 2.14 has no such kernel.

TFLite's quantizer for `dynamic` makes them, and that runtime's `transpose_conv.cc` refuses to prepare one whose weights
and input differ in type, unless XNNPACK takes the node. So the weights stay in 8 bits in the file, and a DEQUANTIZE
widens them, as the converter itself does for half floats.
"""

from __future__ import annotations

from typing import Any

from export.tflite_edited import added_kind, edited, holds, operations_of

_WEIGHTS, _INPUT = 1, 2


def transposed_weights_widened(content: bytes) -> bytes:
    """The file with the 8-bit weights of every transposed convolution in float widened to float32 when it is loaded."""
    from tensorflow.lite.python import schema_py_generated as schema

    kind = schema.BuiltinOperator.TRANSPOSE_CONV
    return edited(content, lambda model: _widen(model, kind)) if holds(content, kind) else content


def _widen(model: Any, kind: int) -> None:
    widened: dict[tuple[int, int], int] = {}
    for graph, operation in operations_of(model, kind):
        inputs = [int(index) for index in operation.inputs]
        if not _in_8_bits_beside_float(*(graph.tensors[inputs[place]].type for place in (_WEIGHTS, _INPUT))):
            continue
        key = (id(graph), inputs[_WEIGHTS])
        if key not in widened:
            widened[key] = _dequantized(model, graph, inputs[_WEIGHTS])
        inputs[_WEIGHTS] = widened[key]
        operation.inputs = inputs


def _in_8_bits_beside_float(weights: int, given: int) -> bool:
    from tensorflow.lite.python import schema_py_generated as schema

    return bool(weights == schema.TensorType.INT8 and given == schema.TensorType.FLOAT32)


def _dequantized(model: Any, graph: Any, weights: int) -> int:
    """The index of a new float32 tensor that a new first operation makes of these weights."""
    from tensorflow.lite.python import schema_py_generated as schema

    narrow = graph.tensors[weights]
    wide = schema.TensorT()
    wide.shape = narrow.shape
    wide.type = schema.TensorType.FLOAT32
    wide.name = narrow.name + b"/dequantized"
    wide.hasRank = True
    graph.tensors.append(wide)
    operation = schema.OperatorT()
    # The first version that takes a scale for each channel.
    operation.opcodeIndex = added_kind(model, schema.BuiltinOperator.DEQUANTIZE, version=5)
    operation.inputs, operation.outputs = [weights], [len(graph.tensors) - 1]
    graph.operators.insert(0, operation)
    return len(graph.tensors) - 1
