"""ResizeBicubic and ResizeArea as two products with constant matrices: neither TF.js nor TFLite has them.

Resizing is linear and takes rows and columns apart, so resizing the unit matrix, by TensorFlow itself, gives both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from export.lowering.raw_operation import raw_operation
from export.lowering.resizing import along_one_axis, replace_by_products
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    images, size_name = body.inputs(node)
    shape, size = body.shape(images), body.constant(size_name)
    given = [one for one in shape[1:3] if one is not None] if shape is not None else []
    if size is None or len(given) != 2:
        return False
    compute = raw_operation(node)
    rows, columns = (_matrix(old, new, compute) for old, new in zip(given, size.tolist(), strict=True))
    replace_by_products(body, node, rows, columns)
    return True


def _matrix(given: int, wanted: int, compute: Callable[..., Any]) -> NDArray[np.float32]:
    """[wanted, given], float32."""
    import tensorflow as tf

    traced = tf.function(compute, autograph=False)
    return along_one_axis(given, lambda unit: traced(unit, tf.constant([wanted, given])))


BICUBIC = Lowering(
    name="bicubic",
    operations=frozenset({"ResizeBicubic", "ResizeArea"}),
    becomes="two matrix products",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
