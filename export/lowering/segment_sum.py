"""UnsortedSegmentSum as a scattering that adds up: TF.js's converter does not know the former."""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    ids_shape = body.shape(body.inputs(node)[1])
    if ids_shape is None or len(ids_shape) != 1:
        return False

    def scattered(data: Any, ids: Any, count: Any) -> Any:
        # Negative ids are left out; here they fall into a row of their own, which is cut off.
        row = tf.where(ids < 0, tf.cast(count, ids.dtype), ids)
        shape = tf.concat([[tf.cast(count, tf.int32) + 1], tf.shape(data)[1:]], 0)
        return tf.scatter_nd(tf.cast(row, tf.int32)[:, tf.newaxis], data, shape)[:-1]

    body.replace(node, scattered)
    return True


SEGMENT_SUM = Lowering(
    name="segment_sum",
    operations=frozenset({"UnsortedSegmentSum"}),
    becomes="a scattering",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
