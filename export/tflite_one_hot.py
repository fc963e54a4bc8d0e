"""ONE_HOT in integers, which TFLite's quantizer of TensorFlow 2.21 leaves wrong: its cold places come out as 0.5.

Its kernel copies the integers of the value for hot and of that for cold as they are, and the quantizer gives each of
the two, and the output, a scale and zero point of its own. So both are written in those of the output.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.tflite_edited import edited, holds, operations_of

_HOT, _COLD = 2, 3


def one_hots_in_scale(content: bytes) -> bytes:
    """The file with what every quantized ONE_HOT writes in the scale of its output."""
    from tensorflow.lite.python import schema_py_generated as schema

    kind = schema.BuiltinOperator.ONE_HOT
    return edited(content, lambda model: _put_in_scale(model, kind)) if holds(content, kind) else content


def _put_in_scale(model: Any, kind: int) -> None:
    from tensorflow.lite.python import schema_py_generated as schema

    dtypes = {schema.TensorType.INT8: np.int8, schema.TensorType.INT16: np.int16}
    for graph, operation in operations_of(model, kind):
        output = graph.tensors[operation.outputs[0]]
        dtype = dtypes.get(output.type)
        if dtype is None or not _is_quantized(output):
            continue
        inputs = [int(index) for index in operation.inputs]
        for place in (_HOT, _COLD):
            given = graph.tensors[inputs[place]]
            data = model.buffers[given.buffer].data
            if data is None or not _is_quantized(given):
                continue
            scale, zero = _quantization(given)
            value = (np.frombuffer(bytes(data), dtype).astype(np.float64) - zero) * scale
            inputs[place] = _constant(model, graph, _integers(value, output, dtype), given=given, output=output)
        operation.inputs = inputs


def _integers(value: NDArray[np.float64], output: Any, dtype: Any) -> NDArray[Any]:
    scale, zero = _quantization(output)
    limits = np.iinfo(dtype)
    return np.clip(np.round(value / scale) + zero, limits.min, limits.max).astype(dtype)


def _constant(model: Any, graph: Any, integers: NDArray[Any], *, given: Any, output: Any) -> int:
    """The index of a new tensor like `given`, which may be read elsewhere, too, in the scale of `output`."""
    from tensorflow.lite.python import schema_py_generated as schema

    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.frombuffer(integers.tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1
    tensor.name, tensor.shape, tensor.type = given.name + b"/in_scale", given.shape, given.type
    tensor.quantization, tensor.hasRank = output.quantization, True
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _is_quantized(tensor: Any) -> bool:
    return tensor.quantization is not None and tensor.quantization.scale is not None


def _quantization(tensor: Any) -> tuple[float, int]:
    return float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
