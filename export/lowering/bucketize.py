"""Bucketize as a count of the boundaries that a value has reached: TF.js has none. Discretization asks for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    boundaries = np.array(node.attr["boundaries"].list.f, np.float32)

    def counted(x: Any) -> Any:
        reached = tf.cast(x, tf.float32)[..., tf.newaxis] >= boundaries
        return tf.reduce_sum(tf.cast(reached, tf.int32), axis=-1)

    body.replace(node, counted)
    return True


BUCKETIZE = Lowering(
    name="bucketize",
    operations=frozenset({"Bucketize"}),
    becomes="a count of the boundaries reached",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
