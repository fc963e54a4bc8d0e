"""GatherV2 within each sample as a gathering from all samples at once: TF.js 4.22 answers wrongly on wasm.

`tf.gather(..., batch_dims=1)`, of `keras.ops.take_along_axis` and of tokens that are chosen by their scores.
"""

from __future__ import annotations

import math
from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    values, indices, axis_name = body.inputs(node)
    depth = int(node.attr["batch_dims"].i)
    shape, wanted, axis = body.shape(values), body.shape(indices), body.constant(axis_name)
    if depth < 1 or shape is None or wanted is None or axis is None or None in (*shape[1:], *wanted[1:]):
        return False
    if int(axis) % len(shape) != depth:
        return False
    size, behind, count = int(shape[depth] or 0), shape[depth + 1 :], math.prod(int(one or 0) for one in wanted[depth:])
    if 0 in (size, count, *behind):
        return False

    def gathered(x: Any, places: Any, _axis: Any) -> Any:
        rows = tf.reshape(places, [-1, count])
        first = tf.range(tf.shape(rows)[0]) * size
        flat = tf.reshape(tf.cast(rows, tf.int32) + first[:, tf.newaxis], [-1])
        found = tf.gather(tf.reshape(x, [-1, *behind]), flat)
        return tf.reshape(found, [-1, *wanted[1:], *behind])

    body.replace(node, gathered)
    return True


BATCH_GATHER = Lowering(
    name="batch_gather",
    operations=frozenset({"GatherV2"}),
    becomes="a gathering from all samples at once",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
