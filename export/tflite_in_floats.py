"""A quantized TFLite file computed in floats, with its own steps or without some of them.

Every tensor of integers becomes one of floats, every constant what its integers stand for, and where the file rounds to
the steps of a range, FAKE_QUANT does the same to floats. So what a file says can be told from what a runtime's integer
kernels make of it, and the steps of one tensor from those of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.tflite_edited import added_constant, added_kind, edited, indices, kind_of, name_of_kind

_ENDS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}
_FUSED = ("UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", "SVDF", "RNN")
"""These keep states of integers within, or have steps that no tensor of the file shows."""
_HALF_A_STEP = 0.501
CUT_ONLY = 16
"""Bits of a range whose steps are too fine to matter: what is left is that values beyond it are cut off."""

Tensor = tuple[int, int]
"""The numbers of a subgraph and of a tensor in it."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Tensors that hold the same integers, handed on from one to the next, with what these can stand for."""

    name: str
    low: float
    high: float
    tensors: frozenset[Tensor]


def steps_of(content: bytes) -> tuple[Steps, ...]:
    """All steps that the file rounds computed values to, in the order of computing. None of a file without integers."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    groups: dict[Tensor, set[Tensor]] = {}
    for number, graph in enumerate(model.subgraphs):
        given = [] if number else indices(graph.inputs)
        for made, read in [(given, []), *((indices(one.outputs), indices(one.inputs)) for one in graph.operators)]:
            for index in made:
                if _ends(graph.tensors[index]) is None:
                    continue
                group = {(number, index)}
                for source in read:
                    if (number, source) in groups and _same(graph.tensors[index], graph.tensors[source]):
                        group |= groups[number, source]
                groups.update(dict.fromkeys(group, group))
    found: dict[int, set[Tensor]] = {id(group): group for group in groups.values()}
    return tuple(_steps(model, group) for group in found.values())


def in_floats(
    content: bytes, *, exact: Sequence[Steps] = (), bits: int | None = None, weights: Sequence[NDArray[Any]] = ()
) -> bytes:
    """The file in floats; those that are `exact` are left without steps. `bits` gives all others as many of them.

    `weights` are constants of the same model in float32, which stand for those that are these rounded to integers.

    Raises ValueError for a file with an operation whose steps are within it.
    """
    without = {tensor for one in exact for tensor in one.tensors}

    def change(model: Any) -> None:
        every = {name_of_kind(model, one) for graph in model.subgraphs for one in graph.operators}
        fused = sorted(every & set(_FUSED))
        if fused:
            raise ValueError(f"{', '.join(fused)} rounds within itself")
        for number, graph in enumerate(model.subgraphs):
            stepped = {
                index: None if (number, index) in without else ends
                for index, tensor in enumerate(graph.tensors)
                if (ends := _ends(tensor)) is not None and not _held(model, tensor)
            }
            _widen(model, graph, weights)
            _round(model, graph, stepped, given=[] if number else indices(graph.inputs), bits=bits)

    return edited(content, change)


def _steps(model: Any, group: set[Tensor]) -> Steps:
    # Operations have their numbers in the order of computing, and so have the tensors that they make.
    number, index = min(group)
    low, high, _ = _ends(model.subgraphs[number].tensors[index]) or (0.0, 0.0, 0)
    return Steps(name=_name(model, number, index), low=low, high=high, tensors=frozenset(group))


def _name(model: Any, number: int, index: int) -> str:
    """What the tensor is called; what only rounds another is called as that, and inputs as in the signature."""
    from tensorflow.lite.python import schema_py_generated as schema

    graph = model.subgraphs[number]
    for one in graph.operators:
        rounds = kind_of(model, one) == schema.BuiltinOperator.QUANTIZE
        if rounds and index in indices(one.outputs):
            index = int(one.inputs[0])
    for signature in model.signatureDefs or ():
        for given in signature.inputs if signature.subgraphIndex == number else ():
            if given.tensorIndex == index:
                return f"input {given.name.decode()}"
    name: bytes = graph.tensors[index].name
    return name.decode()


def _ends(tensor: Any) -> tuple[float, float, int] | None:
    """The lowest and highest value, and the bits; None of what is no quantized tensor of one scale."""
    from tensorflow.lite.python import schema_py_generated as schema

    found, kinds = tensor.quantization, {getattr(schema.TensorType, name): ends for name, ends in _ENDS.items()}
    if tensor.type not in kinds or found is None or found.scale is None or len(found.scale) != 1:
        return None
    scale, zero, (lowest, highest) = float(found.scale[0]), int(found.zeroPoint[0]), kinds[tensor.type]
    return (lowest - zero) * scale, (highest - zero) * scale, 16 if highest > 255 else 8


def _same(one: Any, other: Any) -> bool:
    return _ends(one) == _ends(other)


def _held(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def constants_of(content: bytes) -> list[NDArray[np.float32]]:
    """All constants of floats in the file, halves widened."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    kinds = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}
    return [
        np.asarray(model.buffers[tensor.buffer].data, np.uint8)
        .view(kinds[tensor.type])
        .astype(np.float32)
        .reshape(_shape(tensor))
        for graph in model.subgraphs
        for tensor in graph.tensors
        if tensor.type in kinds and _held(model, tensor)
    ]


def _shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(tensor.shape)


def _unrounded(
    codes: NDArray[np.float64],
    scale: NDArray[np.float64],
    zero: NDArray[np.float64],
    kind: np.iinfo[Any],
    weights: Sequence[NDArray[Any]],
) -> NDArray[np.float64]:
    """The weight that these are when it is rounded to whole numbers; what they stand for where there is none.

    A constant beyond its range, as the largest that a minimum lets pass, is the last of them.
    """
    within: list[tuple[float, int, NDArray[Any]]] = []
    beyond: list[NDArray[Any]] = []
    for one in weights:
        if one.shape != codes.shape:
            continue
        exact = one / scale + zero
        off = float(np.abs(exact - codes).max(initial=0.0))
        if off <= _HALF_A_STEP:
            within.append((off, len(within), one))
        elif np.abs(np.clip(exact, kind.min, kind.max) - codes).max(initial=0.0) <= _HALF_A_STEP:
            beyond.append(one)
    # Of several numbers beyond the range none can be told to be the one.
    alone = beyond if all(np.array_equal(one, beyond[0]) for one in beyond) else []
    found = min(within)[2] if within else next(iter(alone), (codes - zero) * scale)
    return np.asarray(found, np.float64)


def _widen(model: Any, graph: Any, weights: Sequence[NDArray[Any]]) -> None:
    """Make floats of all quantized tensors, and of what constants among them stand for."""
    from tensorflow.lite.python import schema_py_generated as schema

    kinds = schema.TensorType
    stored = {kinds.INT8: np.int8, kinds.UINT8: np.uint8, kinds.INT16: np.int16, kinds.INT32: np.int32}
    stored[kinds.INT64] = np.int64
    for tensor in graph.tensors:
        found = tensor.quantization
        if tensor.type not in stored or found is None or found.scale is None or len(found.scale) == 0:
            continue
        if _held(model, tensor):
            held = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
            codes = held.view(stored[tensor.type]).reshape(_shape(tensor))
            scale, zero = (
                _along(given, found.quantizedDimension, codes.ndim) for given in (found.scale, found.zeroPoint)
            )
            values = _unrounded(codes.astype(np.float64), scale, zero, np.iinfo(codes.dtype), weights)
            tensor.buffer = added_constant(model, values.astype(np.float32))
        tensor.type, tensor.quantization = kinds.FLOAT32, None


def _along(values: Any, axis: int, dimensions: int) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    return array.reshape([-1 if at == axis else 1 for at in range(dimensions)]) if array.size > 1 else array.reshape(())


def _round(
    model: Any, graph: Any, stepped: dict[int, tuple[float, float, int] | None], *, given: list[int], bits: int | None
) -> None:
    """Put the steps behind every operation that rounds to some, and in the place of those that do nothing else."""
    from tensorflow.lite.python import schema_py_generated as schema

    converting = (schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.DEQUANTIZE)
    operators = []
    for index in given:
        if index in stepped:
            rounded = _another(graph, index)
            for one in graph.operators:
                one.inputs = np.array([rounded if at == index else at for at in indices(one.inputs)], np.int32)
            operators.append(_step(model, index, rounded, stepped[index], bits))
    for one in graph.operators:
        if kind_of(model, one) in converting:
            source, made = int(one.inputs[0]), int(one.outputs[0])
            operators.append(_step(model, source, made, stepped.get(made), bits))
            continue
        raw = {made: _another(graph, made) for made in indices(one.outputs) if stepped.get(made) is not None}
        one.outputs = np.array([raw.get(made, made) for made in indices(one.outputs)], np.int32)
        operators += [one, *(_step(model, source, made, stepped[made], bits) for made, source in raw.items())]
    graph.operators = operators


def _another(graph: Any, index: int) -> int:
    """The number of a new tensor like this one."""
    tensor = copy(graph.tensors[index])
    tensor.name = tensor.name + f"/exact/{len(graph.tensors)}".encode()
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _step(model: Any, source: int, made: int, ends: tuple[float, float, int] | None, bits: int | None) -> Any:
    """An operation that rounds to the steps, or hands on where there are none."""
    from tensorflow.lite.python import schema_py_generated as schema

    operation = schema.OperatorT()
    if ends is None:
        operation.opcodeIndex = _code(model, schema.BuiltinOperator.LEAKY_RELU)
        operation.builtinOptionsType = schema.BuiltinOptions.LeakyReluOptions
        operation.builtinOptions = schema.LeakyReluOptionsT()
        operation.builtinOptions.alpha = 1.0
    else:
        operation.opcodeIndex = _code(model, schema.BuiltinOperator.FAKE_QUANT)
        operation.builtinOptionsType = schema.BuiltinOptions.FakeQuantOptions
        operation.builtinOptions = schema.FakeQuantOptionsT()
        operation.builtinOptions.min, operation.builtinOptions.max, own = ends
        operation.builtinOptions.numBits = bits or own
    operation.inputs, operation.outputs = np.array([source], np.int32), np.array([made], np.int32)
    return operation


def _code(model: Any, kind: int) -> int:
    for number, code in enumerate(model.operatorCodes):
        if code.builtinCode == kind and code.version == 1:
            return number
    return added_kind(model, kind, version=1)
