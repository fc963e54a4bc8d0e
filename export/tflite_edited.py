"""A TFLite file that is made already, read and changed in Python's objects of the schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

IDENTIFIER = b"TFL3"
"""What a TFLite file has in its bytes 4 to 8."""


def holds(content: bytes, kind: int) -> bool:
    """Whether the file lists that builtin operator, found without taking the file apart."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    return any(model.OperatorCodes(at).BuiltinCode() == kind for at in range(model.OperatorCodesLength()))


def edited(content: bytes, change: Callable[[Any], None]) -> bytes:
    """The file after `change` was called with its model, in Python's objects of the schema."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    change(model)
    return packed(model, about=len(content))


def packed(model: Any, *, about: int = 1 << 20) -> bytes:
    """The model as a file, of `about` so many bytes: a buffer that is too small is copied until it is not."""
    import flatbuffers

    builder = flatbuffers.Builder(about)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def operations_of(model: Any, kind: int) -> Iterator[tuple[Any, Any]]:
    """Every operation of that builtin operator, after the graph that it is in."""
    for graph in model.subgraphs:
        for operation in list(graph.operators):
            if kind_of(model, operation) == kind:
                yield graph, operation


def kind_of(model: Any, operation: Any) -> int:
    """The number of its builtin operator."""
    code = model.operatorCodes[operation.opcodeIndex]
    # Older files have it in a field that holds no more than 127.
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def name_of_kind(model: Any, operation: Any) -> str:
    """The name of its builtin operator."""
    return _names_of_kinds()[kind_of(model, operation)]


@cache
def _names_of_kinds() -> dict[int, str]:
    from tensorflow.lite.python import schema_py_generated as schema

    return {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}


def added_kind(model: Any, kind: int, *, version: int) -> int:
    """The number of a new entry in the model's list of builtin operators."""
    from tensorflow.lite.python import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def widens_halves(model: Any, graph: Any, operation: Any) -> bool:
    """Whether the operation makes float32 of a constant of halves."""
    from tensorflow.lite.python import schema_py_generated as schema

    if kind_of(model, operation) != schema.BuiltinOperator.DEQUANTIZE:
        return False
    tensor = graph.tensors[operation.inputs[0]]
    return tensor.type == schema.TensorType.FLOAT16 and model.buffers[tensor.buffer].data is not None


def indices(given: Any) -> list[int]:
    """The indices of tensors; what sets a variable makes none, and a variable's handle reads none."""
    return [] if given is None else [int(index) for index in given]


def added_constant(model: Any, values: NDArray[Any]) -> int:
    """The number of a new buffer of the model that holds the values."""
    from tensorflow.lite.python import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.ascontiguousarray(values).ravel().view(np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def drop_unread_constants(model: Any, graph: Any, indices: Iterable[int]) -> None:
    """Take their data from those of the tensors that no operation reads any more."""
    read = {int(index) for operation in graph.operators for index in operation.inputs}
    left = {index: graph.tensors[index].buffer for index in indices if index not in read}
    for index in left:
        graph.tensors[index].buffer = 0
    for buffer in set(left.values()) - {tensor.buffer for one in model.subgraphs for tensor in one.tensors}:
        model.buffers[buffer].data = None
