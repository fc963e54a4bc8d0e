"""Scales of 8-bit weights beside floats as tflite-runtime 2.14 reads them, which counts scales otherwise than LiteRT.

Measured with files of one operation each:

- CONV_2D answers zeros when all channels have one and the same scale, as in Keras's extraction of patches, whose kernel
  is an identity. A last scale that is one step of float32 larger makes it compute by channels, as LiteRT does.
- FULLY_CONNECTED with one output has one scale, and is written as version 12, of scales by channel, which that runtime
  lacks. Version 9, the one of a single scale, says the same of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.tflite_edited import edited, operations_of

_WEIGHTS = 1
_BY_CHANNEL, _OF_ONE_SCALE = 12, 9


def scales_told_apart(content: bytes) -> bytes:
    """The `dynamic` file with the two kinds of operations above as both runtimes take them; others as they are."""
    from tensorflow.lite.python import schema_py_generated as schema

    kinds = schema.BuiltinOperator

    def change(model: Any) -> None:
        _tell_apart(model, kinds.CONV_2D)
        _lower_version(model, kinds.FULLY_CONNECTED)

    return edited(content, change) if _is_concerned(content) else content


def _is_concerned(content: bytes) -> bool:
    """Whether there may be something to change. Taking a large file apart to see that there is not takes seconds."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(at) for at in range(model.OperatorCodesLength())]
    if any(
        code.BuiltinCode() == schema.BuiltinOperator.FULLY_CONNECTED and code.Version() >= _BY_CHANNEL for code in codes
    ):
        return True
    for graph in (model.Subgraphs(at) for at in range(model.SubgraphsLength())):
        for operation in (graph.Operators(at) for at in range(graph.OperatorsLength())):
            if codes[operation.OpcodeIndex()].BuiltinCode() != schema.BuiltinOperator.CONV_2D:
                continue
            quantization = graph.Tensors(operation.Inputs(_WEIGHTS)).Quantization()
            if quantization is not None and quantization.ScaleLength() > 1 and np.ptp(quantization.ScaleAsNumpy()) == 0:
                return True
    return False


def _tell_apart(model: Any, kind: int) -> None:
    for graph, operation in operations_of(model, kind):
        scales = _scales(graph, operation)
        if len(scales) > 1 and (scales == scales[0]).all():
            changed = scales.copy()
            changed[-1] = np.nextafter(changed[-1], np.float32(np.inf))
            graph.tensors[operation.inputs[_WEIGHTS]].quantization.scale = changed


def _lower_version(model: Any, kind: int) -> None:
    most_scales: dict[int, int] = {}
    for graph, operation in operations_of(model, kind):
        at = operation.opcodeIndex
        most_scales[at] = max(most_scales.get(at, 0), len(_scales(graph, operation)))
    for at, most in most_scales.items():
        if model.operatorCodes[at].version == _BY_CHANNEL and most <= 1:
            model.operatorCodes[at].version = _OF_ONE_SCALE


def _scales(graph: Any, operation: Any) -> Any:
    quantization = graph.tensors[operation.inputs[_WEIGHTS]].quantization
    scale = None if quantization is None else quantization.scale
    return np.asarray([] if scale is None else scale, np.float32)
