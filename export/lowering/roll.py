"""Roll as a rotation of indices along each axis: neither TF.js nor TFLite has it. Swin transformers ask for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    tensor, shift_name, axis_name = body.inputs(node)
    shifts, axes = body.constant(shift_name), body.constant(axis_name)
    if shifts is None or axes is None or body.shape(tensor) is None:
        return False
    turns = list(zip(np.atleast_1d(shifts).tolist(), np.atleast_1d(axes).tolist(), strict=True))

    def rolled(x: Any, _shift: Any, _axis: Any) -> Any:
        for shift, axis in turns:
            size = tf.shape(x)[axis] if x.shape[axis] is None else int(x.shape[axis])
            x = tf.gather(x, tf.math.floormod(tf.range(size) - shift, size), axis=axis)
        return x

    body.replace(node, rolled)
    return True


ROLL = Lowering(
    name="roll",
    operations=frozenset({"Roll"}),
    becomes="a gathering of rotated indices",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
