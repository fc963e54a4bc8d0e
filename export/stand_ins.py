"""Large constants kept beside a graph, and the stand-ins that take their place in it.

A stand-in has the constant's dtype and shape, and all of its elements are one number that no other stand-in has, which
a GraphDef writes in a few bytes. So TensorFlow's optimizers work on kilobytes instead of copying half a gigabyte from
pass to pass, and yet see every shape. A pass that computes with a stand-in leaves it out of its result; `lost` tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Numbers that no model has: consecutive float32 around 1.3e19.
_FIRST_BITS = 0x5F3759DF


class StandIns:
    """The constants that are kept beside one graph, float32; stand-ins are known by their number, not by their name.

    TensorFlow's optimizers rename what they fold through Identity.
    """

    def __init__(self) -> None:
        self._values: dict[float, NDArray[Any]] = {}
        self._names: dict[float, str] = {}
        self._given = 0

    @property
    def count(self) -> int:
        """How many constants are kept beside the graph."""
        return len(self._values)

    def conceal(self, node: Any, value: NDArray[Any]) -> None:
        """Keep the value and let the Const node hold its stand-in."""
        number = float(np.array(_FIRST_BITS + self._given, np.uint32).view(np.float32))
        self._given += 1
        self._values[number] = value
        self._names[number] = node.name
        node.op = "Const"
        node.attr.pop("_output_shapes", None)
        node.attr["dtype"].type = node.attr["value"].tensor.dtype = _float32()
        tensor = node.attr["value"].tensor
        tensor.ClearField("tensor_content")
        tensor.float_val[:] = [number]
        _write_shape(tensor, value.shape)

    def holds(self, node: Any) -> bool:
        """True for a Const node that is a stand-in."""
        return self._number(node) is not None

    def value(self, node: Any) -> NDArray[Any]:
        """The real value of any Const node."""
        import tensorflow as tf

        number = self._number(node)
        if number is None:
            return np.asarray(tf.make_ndarray(node.attr["value"].tensor))
        return self._values[number]

    def release(self, node: Any) -> None:
        """Forget a constant that was computed with knowingly."""
        number = self._number(node)
        if number is not None:
            del self._values[number]

    def lost(self, graph: Any) -> frozenset[str]:
        """The names that constants were concealed under whose stand-ins the graph does not hold as they were."""
        there = {self._number(node) for node in graph.node if node.op == "Const"}
        return frozenset(self._names[number] for number in self._values if number not in there)

    def _number(self, node: Any) -> float | None:
        tensor = node.attr["value"].tensor
        if len(tensor.float_val) != 1 or tensor.tensor_content or tensor.float_val[0] not in self._values:
            return None
        number = float(tensor.float_val[0])
        shape = tuple(dimension.size for dimension in tensor.tensor_shape.dim)
        return number if shape == self._values[number].shape else None


def _float32() -> int:
    from tensorflow.core.framework import types_pb2

    return int(types_pb2.DT_FLOAT)


def _write_shape(tensor: Any, shape: Sequence[int]) -> None:
    tensor.tensor_shape.Clear()
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
