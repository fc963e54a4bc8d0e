"""The cross product of vectors of three, by its definition: neither TF.js nor TFLite has it."""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    body.replace(node, _cross)
    return True


def _cross(a: Any, b: Any) -> Any:
    import tensorflow as tf

    def turned(x: Any, by: int) -> Any:
        return tf.concat([x[..., by:], x[..., :by]], axis=-1)

    return turned(a, 1) * turned(b, 2) - turned(a, 2) * turned(b, 1)


CROSS = Lowering(
    name="cross",
    operations=frozenset({"Cross"}),
    becomes="products of turned vectors",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
