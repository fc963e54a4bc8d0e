"""Changes to a TFLite file that is made already, where no converter can be told to make it otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


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
