"""What a TFLite file says of its signature, read from the file itself: no runtime is loaded for it."""

from __future__ import annotations

from typing import Any

from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Signature, TensorSpec

# TFLite's schema counts its types; these are NumPy's names for those that the converter writes.
_DTYPES = {
    "FLOAT32": "float32",
    "FLOAT16": "float16",
    "FLOAT64": "float64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "BOOL": "bool",
    "COMPLEX64": "complex64",
    "STRING": "string",
}


def signature_of_tflite(content: bytes, name: str, *, label: str) -> Signature:
    """The signature called `name`. Raises ConversionFailed when the file has none of that name."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    names = []
    for position in range(model.SignatureDefsLength()):
        found = model.SignatureDefs(position)
        names.append(found.SignatureKey().decode())
        if names[-1] == name:
            graph = model.Subgraphs(found.SubgraphIndex())
            return Signature(
                name=name,
                inputs=_specs(graph, [found.Inputs(i) for i in range(found.InputsLength())]),
                outputs=_specs(graph, [found.Outputs(i) for i in range(found.OutputsLength())]),
            )
    raise ConversionFailed(f"{label}: the file has the signatures {names}, not `{name}`", hint="export the model again")


def tflite_dtypes() -> dict[int, str]:
    """NumPy's name of each type by its number in TFLite's schema."""
    from tensorflow.lite.python import schema_py_generated as schema

    return {number: _DTYPES[name] for name, number in vars(schema.TensorType).items() if name in _DTYPES}


def _specs(graph: Any, named: list[Any]) -> tuple[TensorSpec, ...]:
    dtypes = tflite_dtypes()
    specs = []
    for entry in named:
        tensor = graph.Tensors(entry.TensorIndex())
        sizes = (
            [tensor.ShapeSignature(i) for i in range(tensor.ShapeSignatureLength())]
            if tensor.ShapeSignatureLength()
            else [tensor.Shape(i) for i in range(tensor.ShapeLength())]
        )
        specs.append(
            TensorSpec(
                name=entry.Name().decode(),
                dtype=dtypes[tensor.Type()],
                shape=tuple(None if size < 0 else size for size in sizes),
            )
        )
    return tuple(specs)
