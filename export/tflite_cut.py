"""A TFLite file as a graph, and cut: the same operations and weights with other inputs and outputs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.artifact_graph import ArtifactGraph, Node, Quantized, Wire, needed
from export.tflite_edited import indices, name_of_kind
from export.tflite_signature import signature_of_tflite, tflite_dtypes
from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Signature


def graph_of_tflite(file: Path, signature: str) -> ArtifactGraph:
    """The operations of one signature. Raises ConversionFailed for a file that cannot be read or lacks it."""
    model = _read(file)
    definition = _definition(model, signature, file.name)
    graph = model.subgraphs[definition.subgraphIndex]
    return ArtifactGraph(
        nodes=tuple(
            _node(model, graph, operator, output)
            for operator in graph.operators
            for output in indices(operator.outputs)
        ),
        inputs={entry.name.decode(): _tensor(graph, entry.tensorIndex, "Input", ()) for entry in definition.inputs},
        outputs={entry.name.decode(): str(entry.tensorIndex) for entry in definition.outputs},
    )


def cut_tflite(file: Path, *, into: Path, signature: str, feeds: Sequence[Wire], fetches: Sequence[Wire]) -> Signature:
    """Write the file `into`, which makes the fetched tensors of the fed ones; its signature.

    A tensor that is both fed and fetched is made as before, while all that read it get what is fed. What nothing
    fetched depends on is left out, weights too.
    """
    model = _read(file)
    definition = _definition(model, signature, file.name)
    graph = model.subgraphs[definition.subgraphIndex]
    replaced = {int(feed.handle): _placeholder(graph, int(feed.handle), feed.spec.name) for feed in feeds}
    for operator in graph.operators:
        operator.inputs = [replaced.get(index, index) for index in indices(operator.inputs)]
    reads = {
        str(output): [str(index) for index in operator.inputs]
        for operator in graph.operators
        for output in indices(operator.outputs)
    }
    wanted = needed(reads, [wire.handle for wire in fetches])
    graph.operators = [o for o in graph.operators if any(str(i) in wanted for i in indices(o.outputs))]
    given = {feed.spec.name: replaced[int(feed.handle)] for feed in feeds if str(replaced[int(feed.handle)]) in wanted}
    answers = {wire.spec.name: int(wire.handle) for wire in fetches}
    definition.inputs = [_entry(name, index) for name, index in given.items()]
    definition.outputs = [_entry(name, index) for name, index in answers.items()]
    graph.inputs, graph.outputs = list(given.values()), list(answers.values())
    model.signatureDefs = [definition]
    _drop_what_is_not_read(model, graph)
    content = _written(model)
    into.write_bytes(content)
    return signature_of_tflite(content, signature, label=file.name)


def _read(file: Path) -> Any:
    from tensorflow.lite.tools import flatbuffer_utils

    try:
        return flatbuffer_utils.convert_bytearray_to_object(bytearray(file.read_bytes()))
    except Exception as error:  # flatbuffers raises whatever Python does where bytes make no sense
        raise ConversionFailed(
            f"{file.name} is not a TFLite file, or a damaged one: {type(error).__name__}: {error}",
            hint="convert the model again",
        ) from error


def _written(model: Any) -> bytes:
    from tensorflow.lite.tools import flatbuffer_utils

    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _definition(model: Any, name: str, label: str) -> Any:
    definitions = {definition.signatureKey.decode(): definition for definition in model.signatureDefs or ()}
    if name not in definitions:
        raise ConversionFailed(
            f"{label} has the signatures {sorted(definitions)}, not `{name}`", hint="convert the model again"
        )
    return definitions[name]


def _node(model: Any, graph: Any, operator: Any, output: int) -> Node:
    return _tensor(
        graph, output, name_of_kind(model, operator), [index for index in indices(operator.inputs) if index >= 0]
    )


def _tensor(graph: Any, index: int, op: str, inputs: Sequence[int]) -> Node:
    tensor = graph.tensors[index]
    return Node(
        handle=str(index),
        names=tuple(part for part in (tensor.name or b"").decode().split(";") if part),
        op=op,
        inputs=tuple(map(str, inputs)),
        dtype=tflite_dtypes().get(tensor.type),
        shape=_shape(tensor),
        quantized=_quantized(tensor),
    )


def _shape(tensor: Any) -> tuple[int | None, ...]:
    sizes = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    return tuple(None if size < 0 else int(size) for size in (sizes if sizes is not None else ()))


def _quantized(tensor: Any) -> Quantized | None:
    given = tensor.quantization
    if given is None or given.scale is None or len(given.scale) != 1 or given.scale[0] <= 0:
        return None
    zero_point = 0 if given.zeroPoint is None else int(given.zeroPoint[0])
    return Quantized(scale=float(given.scale[0]), zero_point=zero_point)


def _placeholder(graph: Any, index: int, name: str) -> int:
    tensor = copy.copy(graph.tensors[index])
    tensor.name = name.encode()
    # Buffer 0 is the empty one by definition.
    tensor.buffer = 0
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _entry(name: str, index: int) -> Any:
    from tensorflow.lite.python import schema_py_generated as schema

    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), index
    return entry


def _drop_what_is_not_read(model: Any, graph: Any) -> None:
    """Tensors and weights of operations that are gone, and metadata, which speaks of the whole file."""
    operators = graph.operators
    used = {index for o in operators for index in (*indices(o.inputs), *indices(o.outputs)) if index >= 0}
    used |= {index for o in operators for index in indices(o.intermediates) if index >= 0}
    kept = sorted(used | set(graph.inputs) | set(graph.outputs))
    place = {old: new for new, old in enumerate(kept)} | {-1: -1}
    graph.tensors = [graph.tensors[index] for index in kept]
    for operator in operators:
        operator.inputs = [place[index] for index in indices(operator.inputs)]
        operator.outputs = [place[index] for index in indices(operator.outputs)]
        operator.intermediates = [place[index] for index in indices(operator.intermediates)]
    graph.inputs = [place[index] for index in graph.inputs]
    graph.outputs = [place[index] for index in graph.outputs]
    for entry in (*model.signatureDefs[0].inputs, *model.signatureDefs[0].outputs):
        entry.tensorIndex = place[entry.tensorIndex]
    model.metadata, model.metadataBuffer = [], []
    buffers = sorted({0} | {tensor.buffer for each in model.subgraphs for tensor in each.tensors})
    moved = {old: new for new, old in enumerate(buffers)}
    model.buffers = [model.buffers[index] for index in buffers]
    for each in model.subgraphs:
        for tensor in each.tensors:
            tensor.buffer = moved[tensor.buffer]
