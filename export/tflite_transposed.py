"""Transposed convolutions with weights in 8 bits beside activations in float: tflite-runtime 2.14 has no such kernel.

TFLite's quantizer for `dynamic` makes them, and that runtime's `transpose_conv.cc` refuses to prepare one whose weights
and input differ in type, unless XNNPACK takes the node. So the weights stay in 8 bits in the file, and a DEQUANTIZE
widens them, as the converter itself does for half floats.
"""

from __future__ import annotations

from typing import Any

_WEIGHTS, _INPUT = 1, 2


def transposed_weights_widened(content: bytes) -> bytes:
    """The file with the 8-bit weights of every transposed convolution in float widened to float32 when it is loaded."""
    from tensorflow.lite.python import schema_py_generated as schema

    if not _has_mixed(content):
        return content
    import flatbuffers

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for graph in model.subgraphs:
        widened: dict[int, int] = {}
        for operation in list(graph.operators):
            if not _mixed(model, graph, operation):
                continue
            weights = int(operation.inputs[_WEIGHTS])
            if weights not in widened:
                widened[weights] = _dequantized(model, graph, weights)
            operation.inputs = [widened.get(int(index), int(index)) for index in operation.inputs]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _has_mixed(content: bytes) -> bool:
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    kinds = [model.OperatorCodes(position).BuiltinCode() for position in range(model.OperatorCodesLength())]
    for graph in (model.Subgraphs(position) for position in range(model.SubgraphsLength())):
        for operation in (graph.Operators(position) for position in range(graph.OperatorsLength())):
            if kinds[operation.OpcodeIndex()] == schema.BuiltinOperator.TRANSPOSE_CONV and _differ(
                graph.Tensors(operation.Inputs(_WEIGHTS)).Type(), graph.Tensors(operation.Inputs(_INPUT)).Type()
            ):
                return True
    return False


def _mixed(model: Any, graph: Any, operation: Any) -> bool:
    from tensorflow.lite.python import schema_py_generated as schema

    if model.operatorCodes[operation.opcodeIndex].builtinCode != schema.BuiltinOperator.TRANSPOSE_CONV:
        return False
    return _differ(*(graph.tensors[operation.inputs[place]].type for place in (_WEIGHTS, _INPUT)))


def _differ(weights: int, given: int) -> bool:
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
    operation.opcodeIndex = _dequantize_code(model)
    operation.inputs, operation.outputs = [weights], [len(graph.tensors) - 1]
    graph.operators.insert(0, operation)
    return len(graph.tensors) - 1


def _dequantize_code(model: Any) -> int:
    from tensorflow.lite.python import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 5  # the first that takes a scale for each channel
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
