"""A .tflite file that others published: what it is, and the same file with the signature that our runtimes ask by.

TensorFlow's module for the file format is read by itself here: whoever only looks at a file need not import TensorFlow.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from export.tflite_edited import IDENTIFIER, name_of_kind, packed
from pipeline.core.artifact import Precision
from pipeline.core.errors import ConversionFailed, UsageError
from pipeline.core.signature import Signature, TensorSpec

_SCHEMA = "lite/python/schema_py_generated.py"
_INTEGERS = {"INT8", "UINT8", "INT16"}


def precision_of_published(path: Path) -> Precision:
    """How its inputs, outputs and weights are stored, as ours are called. Raises UsageError for what is no such file.

    With 8-bit inputs or outputs it is `int8-io`; else `int8` when activations are quantized, `dynamic` when only
    weights are, `float16` with weights of that type, and `float32`.
    """
    model = _read(path.read_bytes(), path)
    graph = model.subgraphs[0]
    types = [_type_name(tensor.type) for tensor in graph.tensors]
    edges = {types[index] for index in (*graph.inputs, *graph.outputs)}
    kinds = {name_of_kind(model, one) for each in model.subgraphs for one in each.operators}
    if edges & _INTEGERS and any(_has_scale(graph.tensors[index]) for index in (*graph.inputs, *graph.outputs)):
        return Precision.INT8_IO
    if "QUANTIZE" in kinds:
        return Precision.INT16X8 if "INT16" in types else Precision.INT8
    if "INT8" in types:
        return Precision.DYNAMIC
    return Precision.FLOAT16 if "FLOAT16" in types else Precision.FLOAT32


def with_signature(content: bytes, signature: Signature, *, label: str) -> tuple[bytes, str]:
    """The file with one signature, called and named like the model's, and a sentence on how its names were found.

    Names come from the file's own signature when it has one. Without one they are clear only where there is one input
    and one output. Raises ConversionFailed when they are not clear, or when shapes or dtypes are another model's.
    """
    model = _read(content, Path(label))
    graph = model.subgraphs[0]
    own = _own_signature(model, signature, label)
    if own is not None:
        inputs, outputs = _indices(own.inputs), _indices(own.outputs)
        _check_names(inputs, outputs, signature, label)
        said = f"{label}: its names are those of its own signature."
    elif (len(graph.inputs), len(graph.outputs), len(signature.inputs), len(signature.outputs)) == (1, 1, 1, 1):
        inputs = {signature.input_names[0]: int(graph.inputs[0])}
        outputs = {signature.output_names[0]: int(graph.outputs[0])}
        names = f"`{graph.tensors[graph.inputs[0]].name.decode()}`, `{graph.tensors[graph.outputs[0]].name.decode()}`"
        said = f"{label} has no signature: its only input and its only output ({names}) were taken for the model's."
    else:
        raise ConversionFailed(
            f"{label} has no signature, and {len(graph.inputs)} inputs and {len(graph.outputs)} outputs: which is "
            "which of the model's cannot be told",
            hint="publish the file with a signature, as TFLite's converter writes it since TensorFlow 2.6",
        )
    for spec in signature.inputs:
        _check_tensor(graph.tensors[inputs[spec.name]], spec, label)
    for spec in signature.outputs:
        _check_tensor(graph.tensors[outputs[spec.name]], spec, label)
    model.signatureDefs = [_signature_def(signature.name, inputs, outputs)]
    return packed(model), said


def fixed_batch_of(content: bytes, signature: Signature) -> int | None:
    """The batch size that the inputs of a file of `with_signature` are fixed at, or None when it varies."""
    graph = _read(content, Path(signature.name)).subgraphs[0]
    firsts = {_shape(graph.tensors[index])[0] for index in graph.inputs if _shape(graph.tensors[index])}
    return next((first for first in firsts if first is not None), None)


@functools.cache
def _schema() -> Any:
    found = PathFinder.find_spec("tensorflow")
    places = [] if found is None else list(found.submodule_search_locations or ())
    spec = importlib.util.spec_from_file_location("tflite_schema", Path(*places[:1], _SCHEMA))
    if not places or spec is None or spec.loader is None:
        raise ImportError("TensorFlow's schema of .tflite files is not installed")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _read(content: bytes, path: Path) -> Any:
    if content[4:8] != IDENTIFIER:
        raise UsageError(f"{path} is not a .tflite file: it starts with {content[:8]!r}", hint="give another file")
    schema = _schema()
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    except Exception as error:  # a reader that trusts its offsets ends anywhere in a damaged file
        raise UsageError(
            f"{path} is damaged: {type(error).__name__}: {error}", hint="copy or download it again"
        ) from error
    if not model.subgraphs:
        raise UsageError(f"{path} holds no graph", hint="give another file")
    return model


def _own_signature(model: Any, signature: Signature, label: str) -> Any | None:
    every = list(model.signatureDefs or ())
    named = [one for one in every if one.signatureKey.decode() == signature.name]
    if named or len(every) <= 1:
        return next(iter([*named, *every]), None)
    keys = ", ".join(one.signatureKey.decode() for one in every)
    raise ConversionFailed(
        f"{label} has the signatures {keys}, and none called {signature.name}", hint="choose one with --signature"
    )


def _indices(named: Sequence[Any]) -> dict[str, int]:
    return {one.name.decode(): int(one.tensorIndex) for one in named}


def _check_names(inputs: dict[str, int], outputs: dict[str, int], signature: Signature, label: str) -> None:
    got, want = (sorted(inputs), sorted(outputs)), (sorted(signature.input_names), sorted(signature.output_names))
    if got != want:
        raise ConversionFailed(
            f"{label}: its signature takes {got[0]} and gives {got[1]}, the model takes {want[0]} and gives {want[1]}",
            hint="it is another model's, or was exported under other names",
        )


def _check_tensor(tensor: Any, spec: TensorSpec, label: str) -> None:
    kind = _type_name(tensor.type)
    quantized = kind in _INTEGERS and _has_scale(tensor) and spec.dtype == "float32"
    shape = _shape(tensor)
    same_rank = len(shape) == len(spec.shape)
    if not same_rank or any(
        None not in (got, want) and got != want for got, want in zip(shape[1:], spec.shape[1:], strict=True)
    ):
        raise ConversionFailed(
            f"{label}: `{spec.name}` is of shape {list(shape)} there, {list(spec.shape)} in the model".replace(
                "None", "?"
            ),
            hint="it is another model's",
        )
    if not quantized and kind.lower() != spec.dtype:
        raise ConversionFailed(
            f"{label}: `{spec.name}` is {kind.lower()} there, {spec.dtype} in the model", hint="it is another model's"
        )


def _shape(tensor: Any) -> tuple[int | None, ...]:
    sizes = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    return tuple(None if size < 0 else int(size) for size in (() if sizes is None else sizes))


def _has_scale(tensor: Any) -> bool:
    scales = None if tensor.quantization is None else tensor.quantization.scale
    return scales is not None and len(scales) == 1


def _type_name(number: int) -> str:
    names = {value: name for name, value in vars(_schema().TensorType).items() if not name.startswith("_")}
    return str(names[number])


def _signature_def(name: str, inputs: dict[str, int], outputs: dict[str, int]) -> Any:
    schema = _schema()

    def maps(indices: dict[str, int]) -> list[Any]:
        entries = []
        for key, index in indices.items():
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = key, index
            entries.append(entry)
        return entries

    definition = schema.SignatureDefT()
    definition.signatureKey, definition.subgraphIndex = name, 0
    definition.inputs, definition.outputs = maps(inputs), maps(outputs)
    return definition
