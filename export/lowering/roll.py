"""Roll as a rotation of indices along each axis: neither TF.js nor TFLite has it. Swin transformers ask for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    roll = roll_of(body, node)
    if roll is None:
        return False
    body.replace(node, roll)
    return True


def roll_of(body: Body, node: Any) -> Callable[..., Any] | None:
    """The node as a function of its inputs; None where its axes are not constants."""
    import tensorflow as tf

    tensor, shift_name, axis_name = body.inputs(node)
    shifts, axes = body.constant(shift_name), body.constant(axis_name)
    if axes is None or body.shape(tensor) is None:
        return None

    def rolled(x: Any, shift: Any, _axis: Any) -> Any:
        turns = tf.reshape(shift, [-1]) if shifts is None else np.atleast_1d(shifts).tolist()
        for place, axis in enumerate(np.atleast_1d(axes).tolist()):
            size = tf.shape(x)[axis] if x.shape[axis] is None else int(x.shape[axis])
            x = tf.gather(x, tf.math.floormod(tf.range(size) - turns[place], size), axis=axis)
        return x

    return rolled


ROLL = Lowering(
    name="roll",
    operations=frozenset({"Roll"}),
    becomes="a gathering of rotated indices",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
