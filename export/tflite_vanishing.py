"""Results that are smaller than a step of what they are made of, as of a normalization over one channel, which is zero.

The quantizer gives them the scale of what was seen: nearly nothing, or 7.8e-9 where only zeros were. Integer kernels
multiply by the ratio of the scales. ADD, SUB and SQUARED_DIFFERENCE end the process with SIGABRT where twice the larger
input scale is 2^20 output scales or more (`QuantizeMultiplierSmallerThanOneExp` in `lite/kernels/add.cc`, TensorFlow's
issue 60815), and XNNPACK of LiteRT 2.3 refuses to load a file with such a sum.

Of a sum, what is below a step of a summand is noise, and so is of a product what is below one step times the other. The
result gets a scale as large as that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from export.masked_scores import OF_ONE_SCALE
from export.tflite_calibrated_graph import STEPS, CalibratedGraph
from export.tflite_edited import indices

_SUMS = frozenset(("ADD", "SUB"))
_PRODUCTS = frozenset(("MUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"))
_SQUARE = "SQUARED_DIFFERENCE"


def widened(graph: CalibratedGraph) -> Iterator[Any]:
    """Give such results a wider range, and what hands them on the same; yield what computes them."""
    wider: set[int] = set()
    for operation in graph.operations():
        made = graph.made(operation)
        read = graph.floats_read(operation)
        if graph.kind(operation) in OF_ONE_SCALE and wider.intersection(read):
            handed_on = graph.graph.tensors[next(index for index in read if index in wider)].quantization
            _set(graph, made, float(handed_on.min[0]), float(handed_on.max[0]))
            wider.add(made)
            continue
        least = STEPS * _unit(graph, operation)
        if 0 < graph.width(made) < least or (least > 0 and _only_zeros(graph, made)):
            lowest, highest = graph.ends(made)
            _set(graph, made, min(lowest, -least / 2), max(highest, least / 2))
            wider.add(made)
            yield operation


def _unit(graph: CalibratedGraph, operation: Any) -> float:
    """The least difference that the operation's result can tell, 0 where that is not known."""
    kind = graph.kind(operation)
    steps = [graph.width(index) / STEPS for index in indices(operation.inputs)[:2]]
    if kind in _SUMS:
        return max(steps, default=0.0) / STEPS
    if kind in _PRODUCTS:
        return float(np.prod(steps))
    return max(steps, default=0.0) ** 2 if kind == _SQUARE else 0.0


def _only_zeros(graph: CalibratedGraph, index: int) -> bool:
    """Whether the tensor was calibrated and never anything but zero."""
    found = graph.graph.tensors[index].quantization
    return found is not None and found.min is not None and len(found.min) > 0 and graph.width(index) == 0


def _set(graph: CalibratedGraph, index: int, lowest: float, highest: float) -> None:
    ends = graph.graph.tensors[index].quantization
    ends.min, ends.max = np.array([lowest], np.float32), np.array([highest], np.float32)
