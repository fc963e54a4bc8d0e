"""Changes to a TFLite file that is made already, where no converter can be told to make it otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def holds(content: bytes, kind: int) -> bool:
    """Whether the file lists that builtin operator, found without taking the file apart."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    return any(model.OperatorCodes(at).BuiltinCode() == kind for at in range(model.OperatorCodesLength()))


def edited(content: bytes, change: Callable[[Any], None]) -> bytes:
    """The file after `change` was called with its model, in Python's objects of the schema."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    change(model)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def operations_of(model: Any, kind: int) -> Iterator[tuple[Any, Any]]:
    """Every operation of that builtin operator, after the graph that it is in."""
    for graph in model.subgraphs:
        for operation in list(graph.operators):
            if model.operatorCodes[operation.opcodeIndex].builtinCode == kind:
                yield graph, operation


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
