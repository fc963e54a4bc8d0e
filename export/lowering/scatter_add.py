"""TensorScatterAdd and TensorScatterSub as a sum with what was scattered: TF.js scatters only into zeros."""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    adds = node.op == "TensorScatterAdd"

    def added(x: Any, indices: Any, updates: Any) -> Any:
        scattered = tf.scatter_nd(indices, updates, tf.shape(x, out_type=indices.dtype))
        return x + scattered if adds else x - scattered

    body.replace(node, added)
    return True


SCATTER_ADD = Lowering(
    name="scatter_add",
    operations=frozenset({"TensorScatterAdd", "TensorScatterSub"}),
    becomes="a sum with what was scattered",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
