"""ScaleAndTranslate as two products with constant matrices: neither TF.js nor TFLite has it.

Resizing with antialias asks for it, by Lanczos's kernels and others. It is linear and takes rows and columns apart, so
resizing the unit matrix, by TensorFlow itself, gives both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from export.lowering.resizing import along_one_axis, replace_by_products
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    images, size_name, scale_name, offset_name = body.inputs(node)
    shape, size, offset = body.shape(images), body.constant(size_name), body.constant(offset_name)
    given = [one for one in shape[1:3] if one is not None] if shape is not None else []
    if size is None or offset is None or len(given) != 2:
        return False
    scale = body.constant(scale_name)
    if scale is None:
        # `tf.image.resize` divides one size by the other, and takes the latter from the image.
        if not _is_quotient(body, scale_name):
            return False
        scale = size.astype(np.float32) / np.asarray(given, np.float32)
    rows, columns = (
        _matrix(given[axis], int(size[axis]), float(scale[axis]), float(offset[axis]), node) for axis in (0, 1)
    )
    replace_by_products(body, node, rows, columns)
    return True


def _is_quotient(body: Body, scale: str) -> bool:
    """Whether it is the wanted size, a constant, by the image's own height and width."""
    quotient = body.maker(scale)
    if quotient is None or quotient.op != "RealDiv":
        return False
    wanted, own = (body.maker(name) for name in body.inputs(quotient))
    if wanted is None or own is None or wanted.op not in ("Cast", "Const") or own.op != "Cast":
        return False
    if wanted.op == "Cast" and body.constant(wanted.input[0]) is None:
        return False
    part = body.maker(own.input[0])
    if part is None or part.op != "StridedSlice":
        return False
    shape = body.maker(part.input[0])
    ends = [None if (end := body.constant(name)) is None else end.tolist() for name in part.input[1:3]]
    return shape is not None and shape.op == "Shape" and ends == [[1], [3]]


def _matrix(given: int, wanted: int, scale: float, offset: float, node: Any) -> NDArray[np.float32]:
    """[wanted, given], float32."""
    import tensorflow as tf

    return along_one_axis(
        given,
        lambda unit: tf.raw_ops.ScaleAndTranslate(
            images=unit,
            size=[wanted, given],
            scale=[scale, 1.0],
            translation=[offset, 0.0],
            kernel_type=node.attr["kernel_type"].s or b"lanczos3",
            antialias=node.attr["antialias"].b if "antialias" in node.attr else True,
        ),
    )


SCALE_AND_TRANSLATE = Lowering(
    name="scale_and_translate",
    operations=frozenset({"ScaleAndTranslate"}),
    becomes="two matrix products",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
