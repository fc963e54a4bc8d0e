"""One signature of a SavedModel as a flat graph: calls inlined, variables made constants, large ones beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.stand_ins import StandIns

# Smaller constants decide on folding, and cost nothing.
_LARGE_ELEMENTS = 65_536
_CONVOLUTIONS = {"Conv2D", "DepthwiseConv2dNative", "Conv3D"}
# What only moves a constant would give another that looks like its stand-in: a square matrix transposed, for one.
_COMPUTING = {"MatMul", "BatchMatMul", "BatchMatMulV2", "GatherV2", *_CONVOLUTIONS}
_KEPT_ELSEWHERE = {"VariableV2", "HashTable", "HashTableV2"}
_ADDITIONS = {"BiasAdd", "Add", "AddV2"}
_SCALINGS = {"Mul", "FusedBatchNorm", "FusedBatchNormV3"}


@dataclass(frozen=True, kw_only=True)
class FrozenGraph:
    """A GraphDef with stand-ins for its large constants.

    `inputs` and `outputs` are its tensors under their names in the signature.
    """

    graph: Any
    large: StandIns
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


class FrozenSignature:
    """A signature of a loaded SavedModel, which can be written as a graph over and over."""

    def __init__(self, saved_model: Path, name: str) -> None:
        import tensorflow as tf

        self._source = tf.saved_model.load(str(saved_model))
        self._function = self._source.signatures[name]
        # TensorFlow 1 notes what fills its tables, which the signature's own graph need not have, and then cannot be
        # optimized.
        self._function.graph.clear_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS)
        self.tensorflow_version = str(self._source.tensorflow_version)

    @property
    def stands_alone(self) -> bool:
        """False for a model with tables or with variables of TensorFlow 1: no constant says what they hold."""
        if any(operation.type in _KEPT_ELSEWHERE for operation in self._function.graph.get_operations()):
            return False
        variables = [variable.handle for variable in self._function.graph.variables]
        return all(
            given.dtype != "resource" or any(given is handle for handle in variables)
            for given, _ in self._function.graph.captures
        )

    def frozen(self, *, whole: frozenset[str] = frozenset()) -> FrozenGraph:
        """The graph; constants named in `whole` are in it with their values, however large."""
        import tensorflow as tf
        from tensorflow.python.framework import convert_to_constants as freezing

        class Data(freezing._FunctionConverterDataInEager):  # type: ignore[misc]  # noqa: SLF001  # its own hook
            def _eval(self, tensor: Any) -> NDArray[Any]:
                value = tensor.read_value() if hasattr(tensor, "read_value") else tensor
                # Without the copy that `numpy()` makes.
                return np.asarray(value._numpy())  # noqa: SLF001

        data = Data(func=self._function, lower_control_flow=True, aggressive_inlining=True)
        held = dict(data.tensor_data)
        hidden = {
            name: one.numpy
            for name, one in held.items()
            if one.numpy.size >= _LARGE_ELEMENTS and one.numpy.dtype == np.float32 and name not in whole
        }
        for name in hidden:
            # Any small value: the stand-in takes its place once the constant is there.
            data.tensor_data[name] = held[name]._replace(numpy=np.zeros(1, np.float32))
        graph, _ = freezing._replace_variables_by_constants(data)  # noqa: SLF001  # as above
        large = StandIns()
        readers = _readers_in(graph)
        for node in graph.node:
            # Where inlined nodes came from, and what a user called an input; the converter leaves them out as well.
            node.ClearField("experimental_debug_info")
            node.attr.pop("_user_specified_name", None)
            if node.name in hidden and _stays(node.name, readers):
                large.conceal(node, hidden[node.name])
            elif node.name in hidden:
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(hidden[node.name]))
        names = sorted(self._function.structured_input_signature[1])
        return FrozenGraph(
            graph=graph,
            large=large,
            # Structures lie flat in the order of their sorted keys; what follows the inputs are the variables.
            inputs=dict(zip(names, self._function.inputs[: len(names)], strict=True)),
            outputs=dict(zip(sorted(self._function.structured_outputs), self._function.outputs, strict=True)),
        )


def _readers_in(graph: Any) -> Mapping[str, list[Any]]:
    readers = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            if not name.startswith("^"):
                readers[name.partition(":")[0]].append(node)
    return readers


def _stays(name: str, readers: Mapping[str, list[Any]]) -> bool:
    """False for a constant that the optimizers will compute with: a convolution's takes up the scaling after it.

    And for one that is read twice: that it was folded for one reader would not show in the graph, which keeps it for
    the other.
    """
    reading = _real_readers(name, readers)
    if len(reading) != 1 or reading[0].op not in _COMPUTING:
        return False
    if reading[0].op not in _CONVOLUTIONS:
        return True
    after = readers.get(reading[0].name, [])
    if len(after) == 1 and after[0].op in _ADDITIONS:
        after = readers.get(after[0].name, [])
    return not any(node.op in _SCALINGS for node in after)


def _real_readers(name: str, readers: Mapping[str, list[Any]]) -> list[Any]:
    """Who reads the tensor, those that read it through Identity included."""
    found = []
    for node in readers.get(name, []):
        found += _real_readers(node.name, readers) if node.op == "Identity" else [node]
    return found
