"""A transposed convolution with gaps between the weights as one with zeros in the gaps.

TFLite has none with gaps; TF.js 4.22 takes no notice of them, and answers wrongly.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from export.lowering.raw_operation import raw_operation
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    gaps = list(node.attr["dilations"].list.i)
    kernel = body.shape(body.inputs(node)[1])
    if not set(gaps) - {1} or node.attr["data_format"].s not in (b"", b"NHWC"):
        return False
    if kernel is None or None in kernel:
        return False
    del node.attr["dilations"].list.i[:]
    node.attr["dilations"].list.i.extend([1] * len(gaps))
    compute = raw_operation(node)

    def convolved(sizes: Any, weights: Any, x: Any) -> Any:
        for axis, gap in enumerate(gaps[1:-1]):
            weights = with_gaps(weights, axis, gap)
        return compute(sizes, weights, x)

    body.replace(node, convolved)
    return True


def with_gaps(weights: Any, axis: int, gap: int) -> Any:
    """The weights with `gap - 1` zeros between any two along an axis; all sizes are known."""
    import tensorflow as tf

    if gap == 1:
        return weights
    shape = [int(size) for size in weights.shape]
    spread = tf.pad(
        tf.reshape(weights, [*shape[: axis + 1], 1, *shape[axis + 1 :]]),
        [[0, gap - 1] if place == axis + 1 else [0, 0] for place in range(len(shape) + 1)],
    )
    long = tf.reshape(spread, [*shape[:axis], shape[axis] * gap, *shape[axis + 1 :]])
    # Behind the last one are none.
    return tf.slice(long, [0] * len(shape), [*shape[:axis], (shape[axis] - 1) * gap + 1, *shape[axis + 1 :]])


DILATED_TRANSPOSE = Lowering(
    name="dilated_transpose",
    operations=frozenset({"Conv2DBackpropInput"}),
    becomes="the same with zeros between the weights",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
