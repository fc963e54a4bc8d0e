"""A product of 8-bit matrices as one of float32 ones: no target has it. Keras's `quantize("int8")` asks for it.

The products are whole numbers, and exact as long as the sum stays below 2^24: of 1,000 products at least.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    kinds = {tf.as_dtype(node.attr[key].type) for key in ("Ta", "Tb")}
    made = tf.as_dtype(node.attr["Tout"].type)
    if not kinds <= {tf.int8, tf.uint8} or made != tf.int32:
        return False
    turned = {"adjoint_a": node.attr["adj_x"].b, "adjoint_b": node.attr["adj_y"].b}

    def product(a: Any, b: Any) -> Any:
        return tf.cast(tf.matmul(tf.cast(a, tf.float32), tf.cast(b, tf.float32), **turned), tf.int32)

    body.replace(node, product)
    return True


INTEGER_MATMUL = Lowering(
    name="integer_matmul",
    operations=frozenset({"BatchMatMulV3"}),
    becomes="a product of float32",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
