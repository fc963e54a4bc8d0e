"""Cumprod as products of ever longer stretches, log2(n) of them: TFLite has Cumsum only.

Hillis and Steele, "Data parallel algorithms", Communications of the ACM 29 (12), 1986: after the step of length s each
place holds the product of the last 2s values.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    tensor, axis_name = body.inputs(node)
    shape, axis = body.shape(tensor), body.constant(axis_name)
    if shape is None or axis is None or shape[int(axis)] is None:
        return False
    exclusive, reverse = node.attr["exclusive"].b, node.attr["reverse"].b
    body.replace(node, lambda x, _axis: _products(x, int(axis), exclusive=exclusive, reverse=reverse))
    return True


def _products(x: Any, axis: int, *, exclusive: bool, reverse: bool) -> Any:
    size = x.shape[axis]
    if exclusive:
        x = _moved(x, 1, axis, reverse=reverse)
    step = 1
    while step < size:
        x = x * _moved(x, step, axis, reverse=reverse)
        step *= 2
    return x


def _moved(x: Any, by: int, axis: int, *, reverse: bool) -> Any:
    """The tensor moved along the axis, ones coming in."""
    import tensorflow as tf

    size, rank = int(x.shape[axis]), x.shape.rank
    start, length, padding = [0] * rank, [-1] * rank, [[0, 0] for _ in range(rank)]
    start[axis], length[axis] = (by if reverse else 0), size - by
    padding[axis] = [0, by] if reverse else [by, 0]
    return tf.pad(tf.slice(x, start, length), padding, constant_values=1)


CUMPROD = Lowering(
    name="cumprod",
    operations=frozenset({"Cumprod"}),
    becomes="products of ever longer stretches",
    when={Format.TFLITE: When.ALWAYS},
    rewrite=_rewrite,
)
