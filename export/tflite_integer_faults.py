"""Operations that TFLite's int8 quantizer or its int8 kernels get wrong, found in a calibrated file and gone round.

Each fault was measured with TensorFlow 2.21 and LiteRT 2.3, and none is reported by converter or runtime.

- Comparisons: the kernels multiply both sides by their scales into whole numbers, 2^8 to the unit
  (`ComparisonQuantized` in TensorFlow's `lite/kernels/comparisons.cc`). A scale of 1 or more overflows: half of the
  answers are wrong where anything is 256 or more. Steps below 2^-8 are one and the same: of values within 0.001 every
  comparison says that they are equal. They stay in float.
- MINIMUM, MAXIMUM and SELECT: the quantizer gives what they read the range of what they make. Whatever else reads
  the same, as the other way of `x + f(clip(x))`, gets it clipped. They read it through a leaky ReLU of slope 1 instead:
  the same values, which may have a range of their own. (A product with 1 is dropped before ranges are given.)
- REVERSE_V2: the kernel hands the integers on, while the quantizer gives what comes out the scale of its reader, as of
  the concatenation in a bidirectional layer. It stays in float.
- SCATTER_ND: what has one place is added up in 8 bits and wraps around: two times 1.5 of a range to 2 became -1. It
  stays in float, and so does a leaky ReLU before it, which has the range of the sums: theirs is taken from there.
- SQRT, LOG and DIV: tflite-runtime 2.14 has them in float only, and runs no other files. They stay in float.

Masks of attention (`masked_scores`) and vanishing results (`tflite_vanishing`) are files of their own.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.lowered_saved_model import Used
from export.masked_scores import OF_ONE_SCALE, masked_scores
from export.tflite_calibrated_graph import STEPS, CalibratedGraph
from export.tflite_edited import added_kind, indices, packed
from export.tflite_vanishing import widened

_COMPARISONS = ("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL")
_CHOOSING = ("MINIMUM", "MAXIMUM", "SELECT", "SELECT_V2")
_SCATTERING = "SCATTER_ND"
_SCATTERED = 1
"""The position at which SCATTER_ND reads what it moves."""
_MOVING = ("REVERSE_V2", _SCATTERING)
_NEWER = ("SQRT", "LOG", "DIV")
_IN_TENSORFLOW = frozenset(
    (
        *("Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "NotEqual"),
        *("Minimum", "Maximum", "ClipByValue", "Select", "SelectV2", "ReverseV2", "Sqrt", "RealDiv", "Log", "Log1p"),
        *("Softmax", "Add", "AddV2", "Sub", "Mul", "SquaredDifference", "ScatterNd", "TensorScatterAdd"),
    )
)
# What a lowering makes roots and quotients of.
_LOWERED_TO_THEM = frozenset({"ComplexAbs", "Cholesky", "MatrixInverse", "MatrixSolve", "MatrixTriangularSolve"})
_WRONG = "an operation that TFLite's int8 gets wrong"
_IN_FLOAT = "float32"
_LARGEST_SCALE = 1.0
# A probability has steps of 2^-8; half of that still leaves 128 values apart.
_SMALLEST_SCALE = 2.0**-9
_NARROWER = 0.99


def may_have_integer_faults(function: Any) -> bool:
    """Whether a FunctionDef has operations on float32 that `mended` may find wrong."""
    import tensorflow as tf

    kind = tf.float32.as_datatype_enum
    return any(
        node.op in _LOWERED_TO_THEM or (node.op in _IN_TENSORFLOW and node.attr["T"].type == kind)
        for node in function.node_def
    )


@dataclass(frozen=True, kw_only=True)
class Mended:
    """A calibrated file that can be quantized, but for the operations `in_float`; `used` says what was found in it."""

    content: bytes
    used: tuple[Used, ...] = ()

    @property
    def in_float(self) -> tuple[str, ...]:
        """By the tensors that they make."""
        return tuple(node for used in self.used if used.becomes == _IN_FLOAT for node in used.nodes)


def mended(calibrated: bytes) -> Mended:
    """The file with its ranges, changed where the quantizer would get it wrong."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(calibrated, 0)
    graphs = [CalibratedGraph(model, graph) for graph in model.subgraphs]
    every = [(graph, one) for graph in graphs for one in graph.operations()]
    failing = [graph.name_of(one) for graph, one in every if _fails(graph, one)]
    masking = [(graph, one) for graph in graphs for one in masked_scores(graph).values()]
    masked = [graph.name_of(one) for graph, one in masking]
    clipping = [
        (graph, one, at) for graph, one in every if graph.name_of(one) not in masked for at in _narrowed(graph, one)
    ]
    wider = [graph.name_of(one) for graph in graphs for one in widened(graph)]
    for graph, operation, position in clipping:
        _set_apart(model, graph.graph, operation, position)
    # Even a selection in float hands its range to what it reads: that stays in float, too, one step before it.
    before = [_set_apart(model, graph.graph, one, at) for graph, one in masking for at in _choices(graph, one)]
    scattering = [(graph, one) for graph, one in every if graph.kind(one) == _SCATTERING and _fails(graph, one)]
    failing += [_read_as_wide(model, graph.graph, one, _SCATTERED) for graph, one in scattering]
    found = (
        (failing, _WRONG, _IN_FLOAT),
        ([graph.name_of(one) for graph, one, _ in clipping], _WRONG, "one with a range of its own"),
        (masked + before, "a mask over attention's scores", _IN_FLOAT),
        (wider, "a result smaller than a step of what it is made of", "one of as wide a range as such a step"),
    )
    if clipping or masking or wider or scattering:
        calibrated = packed(model, about=len(calibrated))
    return Mended(
        content=calibrated,
        used=tuple(
            Used(lowering="integer_faults", operation=what, becomes=becomes, nodes=tuple(sorted(set(nodes))))
            for nodes, what, becomes in found
            if nodes
        ),
    )


def _set_apart(model: Any, graph: Any, operation: Any, position: int) -> str:
    """Let the operation read its input through a leaky ReLU of slope 1; the name of what that makes."""
    from tensorflow.lite.python import schema_py_generated as schema

    read = int(operation.inputs[position])
    same, straight = copy(graph.tensors[read]), schema.OperatorT()
    same.name = same.name + f"/for/{len(graph.tensors)}".encode()
    graph.tensors.append(same)
    straight.opcodeIndex = added_kind(model, schema.BuiltinOperator.LEAKY_RELU, version=1)
    straight.inputs, straight.outputs = np.array([read], np.int32), np.array([len(graph.tensors) - 1], np.int32)
    straight.builtinOptionsType, straight.builtinOptions = (
        schema.BuiltinOptions.LeakyReluOptions,
        schema.LeakyReluOptionsT(),
    )
    straight.builtinOptions.alpha = 1.0
    graph.operators.insert(graph.operators.index(operation), straight)
    inputs = [*operation.inputs[:position], len(graph.tensors) - 1, *operation.inputs[position + 1 :]]
    operation.inputs = np.array(inputs, np.int32)
    return str(same.name.decode())


def _read_as_wide(model: Any, graph: Any, operation: Any, position: int) -> str:
    """As `_set_apart`, with the range of what the operation makes."""
    name = _set_apart(model, graph, operation, position)
    read, made = (graph.tensors[int(index)] for index in (operation.inputs[position], operation.outputs[0]))
    read.quantization = copy(made.quantization)
    return name


def _fails(graph: CalibratedGraph, operation: Any) -> bool:
    """Whether its int8 kernel would answer wrongly, or is not in tflite-runtime 2.14."""
    kind = graph.kind(operation)
    if kind in _COMPARISONS:
        scales = [width / STEPS for index in indices(operation.inputs) if (width := graph.width(index))]
        return not all(_SMALLEST_SCALE <= scale < _LARGEST_SCALE for scale in scales)
    # In a loop a float would meet what XNNPACK of tflite-runtime 2.14 does there at a second batch size: wrong answers.
    older = kind in _NEWER and graph.graph is graph.model.subgraphs[0]
    return (kind in _MOVING or older) and graph.width(int(operation.outputs[0])) > 0


def _narrowed(graph: CalibratedGraph, operation: Any) -> list[int]:
    """The positions of its inputs that the quantizer would narrow, and with them what else reads the same."""
    if graph.kind(operation) not in _CHOOSING:
        return []
    made = graph.width(int(operation.outputs[0]))
    return [
        position
        for position, index in enumerate(indices(operation.inputs))
        if made < _NARROWER * graph.width(index) and _shared(graph, index) and not graph.is_constant(index)
    ]


def _shared(graph: CalibratedGraph, index: int) -> bool:
    """Whether something else reads this, or what it is taken from."""
    while True:
        if graph.readers(index) > 1:
            return True
        maker = graph.maker(index)
        if maker is None or graph.kind(maker) not in OF_ONE_SCALE:
            return False
        index = next((source for source in indices(maker.inputs) if graph.width(source)), -1)


def _choices(graph: CalibratedGraph, operation: Any) -> list[int]:
    """The positions of the computed floats that a selection chooses from, where it is one."""
    if graph.kind(operation) not in _CHOOSING:
        return []
    return [
        position
        for position, index in enumerate(indices(operation.inputs))
        if graph.width(index) and not graph.is_constant(index)
    ]
