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
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

_COMPARISONS = ("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL")
_CHOOSING = ("MINIMUM", "MAXIMUM", "SELECT", "SELECT_V2")
_REVERSAL = "REVERSE_V2"
_OF_ONE_SCALE = frozenset(
    ("EXPAND_DIMS", "GATHER", "MAX_POOL_2D", "RESHAPE", "SLICE", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE")
)
"""What hands a range backwards, too: out of these comes what goes in."""
_IN_TENSORFLOW = frozenset(
    (
        *("Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "NotEqual"),
        *(
            "Minimum",
            "Maximum",
            "ClipByValue",
            "Select",
            "SelectV2",
            "ReverseV2",
        ),
    )
)
_STEPS = 255
_LARGEST_SCALE = 1.0
# A probability has steps of 2^-8; half of that still leaves 128 values apart.
_SMALLEST_SCALE = 2.0**-9
_NARROWER = 0.99


def may_have_integer_faults(function: Any) -> bool:
    """Whether a FunctionDef has operations on float32 that `mended` may find wrong."""
    import tensorflow as tf

    kind = tf.float32.as_datatype_enum
    return any(node.op in _IN_TENSORFLOW and node.attr["T"].type == kind for node in function.node_def)


@dataclass(frozen=True, kw_only=True)
class Mended:
    """A calibrated file that can be quantized; `in_float` may not be, `apart` were given a range of their own.

    Both are operations, by the tensors that they make.
    """

    content: bytes
    in_float: tuple[str, ...]
    apart: tuple[str, ...]


def mended(calibrated: bytes) -> Mended:
    """The file with its ranges, changed where the quantizer would get it wrong."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(calibrated, 0)
    kinds = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    graphs = [_Graph(model, graph, kinds) for graph in model.subgraphs]
    in_float = tuple(graph.name_of(one) for graph in graphs for one in graph.operations() if graph.fails(one))
    found = [(graph, one, graph.narrowed(one)) for graph in graphs for one in graph.operations()]
    clipping = [(graph, one, read) for graph, one, read in found if read]
    apart = tuple(graph.name_of(one) for graph, one, _ in clipping)
    if not clipping:
        return Mended(content=calibrated, in_float=in_float, apart=())
    for graph, operation, positions in clipping:
        for position in positions:
            _set_apart(model, graph.graph, operation, position)
    builder = flatbuffers.Builder(len(calibrated))
    builder.Finish(model.Pack(builder), b"TFL3")
    return Mended(content=bytes(builder.Output()), in_float=in_float, apart=apart)


def _set_apart(model: Any, graph: Any, operation: Any, position: int) -> None:
    """Let the operation read its input through a leaky ReLU of slope 1."""
    from tensorflow.lite.python import schema_py_generated as schema

    read = int(operation.inputs[position])
    same, code, straight = copy(graph.tensors[read]), schema.OperatorCodeT(), schema.OperatorT()
    same.name = same.name + f"/for/{len(graph.tensors)}".encode()
    graph.tensors.append(same)
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.LEAKY_RELU
    code.version = 1
    model.operatorCodes.append(code)
    straight.opcodeIndex = len(model.operatorCodes) - 1
    straight.inputs, straight.outputs = np.array([read], np.int32), np.array([len(graph.tensors) - 1], np.int32)
    straight.builtinOptionsType, straight.builtinOptions = (
        schema.BuiltinOptions.LeakyReluOptions,
        schema.LeakyReluOptionsT(),
    )
    straight.builtinOptions.alpha = 1.0
    graph.operators.insert(graph.operators.index(operation), straight)
    inputs = [*operation.inputs[:position], len(graph.tensors) - 1, *operation.inputs[position + 1 :]]
    operation.inputs = np.array(inputs, np.int32)


@dataclass(frozen=True)
class _Graph:
    """One subgraph with its readers."""

    model: Any
    graph: Any
    kinds: dict[int, str]

    def operations(self) -> Iterator[Any]:
        """Those that make something."""
        return (one for one in self.graph.operators or () if _indices(one.outputs))

    def name_of(self, operation: Any) -> str:
        """The name of what it makes."""
        name: bytes = self.graph.tensors[operation.outputs[0]].name
        return name.decode()

    def fails(self, operation: Any) -> bool:
        """Whether its int8 kernel would answer wrongly."""
        kind = self._kind(operation)
        if kind in _COMPARISONS:
            scales = [width / _STEPS for index in _indices(operation.inputs) if (width := self._width(index))]
            return not all(_SMALLEST_SCALE <= scale < _LARGEST_SCALE for scale in scales)
        return kind == _REVERSAL and self._width(int(operation.outputs[0])) > 0

    def narrowed(self, operation: Any) -> list[int]:
        """The positions of its inputs that the quantizer would narrow, and with them what else reads the same."""
        if self._kind(operation) not in _CHOOSING:
            return []
        made = self._width(int(operation.outputs[0]))
        return [
            position
            for position, index in enumerate(_indices(operation.inputs))
            if made < _NARROWER * self._width(index) and self._shared(index) and not self._is_constant(index)
        ]

    def _is_constant(self, index: int) -> bool:
        held = self.model.buffers[self.graph.tensors[index].buffer].data
        return held is not None and len(held) > 0

    def _shared(self, index: int) -> bool:
        """Whether something else reads this, or what it is taken from."""
        while True:
            if self._readers[index] > 1:
                return True
            maker = self._makers.get(index)
            if maker is None or self._kind(maker) not in _OF_ONE_SCALE:
                return False
            index = next((source for source in _indices(maker.inputs) if self._width(source)), -1)

    def _width(self, index: int) -> float:
        """How wide the tensor's range is, zero within it; 0 for what is no float or has no range."""
        from tensorflow.lite.python import schema_py_generated as schema

        tensor = self.graph.tensors[index] if index >= 0 else None
        if tensor is None or tensor.type != schema.TensorType.FLOAT32:
            return 0.0
        if self._is_constant(index):
            held = self.model.buffers[tensor.buffer].data
            values = np.frombuffer(np.asarray(held, np.uint8).tobytes(), np.float32)
            ends = values.min(), values.max()
        else:
            found = tensor.quantization
            if found is None or found.min is None or found.max is None or not len(found.min):
                return 0.0
            ends = np.min(found.min), np.max(found.max)
        return float(max(ends[1], 0.0) - min(ends[0], 0.0))

    def _kind(self, operation: Any) -> str:
        return self.kinds[self.model.operatorCodes[operation.opcodeIndex].builtinCode]

    @cached_property
    def _makers(self) -> dict[int, Any]:
        return {index: one for one in self.operations() for index in _indices(one.outputs)}

    @cached_property
    def _readers(self) -> Counter[int]:
        readers = Counter(_indices(self.graph.outputs))
        for operation in self.graph.operators or ():
            readers.update(set(_indices(operation.inputs)))
        return readers


def _indices(given: Any) -> list[int]:
    """The indices of tensors; what sets a variable makes none, and a variable's handle reads none."""
    return [] if given is None else [int(index) for index in given]
