"""MaxPool3D and AvgPool3D as two flat poolings, one after the other: TFLite pools in two dimensions only.

The largest of negative numbers is 0 in TF.js 4.22 on wasm, where it pools in three.

What lies in the padding counts for neither, in a plane as in depth, so the mean of means is the mean.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    shape = body.shape(body.inputs(node)[0])
    if shape is None or None in shape[1:] or node.attr["data_format"].s not in (b"", b"NDHWC"):
        return False
    pool = tf.nn.max_pool2d if node.op == "MaxPool3D" else tf.nn.avg_pool2d
    sizes, strides = (list(node.attr[key].list.i)[1:4] for key in ("ksize", "strides"))
    padding = node.attr["padding"].s.decode()
    _, depth, height, width, channels = shape

    def pooled(x: Any) -> Any:
        planes = tf.reshape(x, [-1, height, width, channels])
        flat = pool(planes, sizes[1:], strides[1:], padding)
        _, rows, columns, _ = flat.shape
        stacked = tf.reshape(flat, [-1, depth, rows * columns, channels])
        thin = pool(stacked, [sizes[0], 1], [strides[0], 1], padding)
        return tf.reshape(thin, [-1, thin.shape[1], rows, columns, channels])

    body.replace(node, pooled)
    return True


POOL_3D = Lowering(
    name="pool_3d",
    operations=frozenset({"MaxPool3D", "AvgPool3D"}),
    becomes="two flat poolings",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
