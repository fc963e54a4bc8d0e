"""DenseBincount as a sum of one-hot rows: TFLite has no such operation. CategoryEncoding asks for it."""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    values, _, weights_name = body.inputs(node)
    weights = body.shape(weights_name)
    if weights is None or body.shape(values) is None:
        return False
    binary, weighted = node.attr["binary_output"].b, weights != (0,)

    def counted(x: Any, size: Any, weight: Any) -> Any:
        # Values beyond the size have no row, here as there.
        rows = tf.one_hot(x, tf.cast(size, tf.int32), dtype=weight.dtype)
        if binary:
            return tf.reduce_max(rows, axis=-2)
        return tf.reduce_sum(rows * weight[..., tf.newaxis] if weighted else rows, axis=-2)

    body.replace(node, counted)
    return True


BINCOUNT = Lowering(
    name="bincount",
    operations=frozenset({"DenseBincount"}),
    becomes="a sum of one-hot rows",
    when={Format.TFLITE: When.ALWAYS},
    rewrite=_rewrite,
)
