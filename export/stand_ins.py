"""Large constants kept beside a graph, and the stand-ins that take their place in it.

A stand-in has the constant's dtype and shape, and all of its elements are one number that no other stand-in has, which
a GraphDef writes in a few bytes. So TensorFlow's optimizers work on kilobytes instead of copying half a gigabyte from
pass to pass, and yet see every shape. A pass that computes with a stand-in leaves it out of its result; `lost` tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIRST, _STEP = 1.5, 2.0**-10


class StandIns:
    """The constants that are kept beside one graph, float32, by node name."""

    def __init__(self) -> None:
        self._values: dict[str, NDArray[Any]] = {}
        self._numbers: dict[str, float] = {}

    @property
    def values(self) -> Mapping[str, NDArray[Any]]:
        return self._values

    def conceal(self, node: Any, value: NDArray[Any]) -> None:
        """Keep the value and let the Const node hold its stand-in."""
        number = _FIRST + _STEP * len(self._numbers)
        self._values[node.name] = value
        self._numbers[node.name] = number
        node.op = "Const"
        node.attr.pop("_output_shapes", None)
        node.attr["dtype"].type = node.attr["value"].tensor.dtype = _float32()
        tensor = node.attr["value"].tensor
        tensor.ClearField("tensor_content")
        tensor.float_val[:] = [number]
        _write_shape(tensor, value.shape)

    def value(self, node: Any) -> NDArray[Any]:
        """The real value of any Const node."""
        import tensorflow as tf

        known = self._values.get(node.name)
        return np.asarray(tf.make_ndarray(node.attr["value"].tensor)) if known is None else known

    def release(self, name: str) -> None:
        """Forget a constant that was computed with knowingly."""
        self._values.pop(name, None)

    def lost(self, graph: Any) -> frozenset[str]:
        """The names of the constants whose stand-ins the graph does not hold as they were."""
        nodes = {node.name: node for node in graph.node}
        return frozenset(name for name in self._values if name not in nodes or not self._intact(nodes[name]))

    def _intact(self, node: Any) -> bool:
        if node.op != "Const":
            return False
        tensor = node.attr["value"].tensor
        shape = tuple(dimension.size for dimension in tensor.tensor_shape.dim)
        return (
            list(tensor.float_val) == [self._numbers[node.name]]
            and not tensor.tensor_content
            and shape == self._values[node.name].shape
        )


def _float32() -> int:
    from tensorflow.core.framework import types_pb2

    return int(types_pb2.DT_FLOAT)


def _write_shape(tensor: Any, shape: Sequence[int]) -> None:
    tensor.tensor_shape.Clear()
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
