"""Xlogy and Xdivy as what they are made of, zero where the first factor is: TF.js has neither."""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    logarithm = node.op == "Xlogy"

    def guarded(x: Any, y: Any) -> Any:
        nothing = tf.equal(x, 0)
        safe = tf.where(nothing, tf.ones_like(y), y)
        return tf.where(nothing, tf.zeros_like(x * y), x * tf.math.log(safe) if logarithm else x / safe)

    body.replace(node, guarded)
    return True


XLOGY = Lowering(
    name="xlogy",
    operations=frozenset({"Xlogy", "Xdivy"}),
    becomes="a product or quotient that is zero where its first part is",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
