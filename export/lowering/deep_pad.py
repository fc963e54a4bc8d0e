"""Padding of five dimensions and more, one axis at a time in three: TF.js 4.22 pads no more than four on webgl.

Keras's ZeroPadding3D does.
"""

from __future__ import annotations

import math
from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format

_MOST_ON_WEBGL = 4


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    tensor, paddings_name, *_ = body.inputs(node)
    shape, paddings = body.shape(tensor), body.constant(paddings_name)
    if shape is None or len(shape) <= _MOST_ON_WEBGL or paddings is None or None in shape[1:] or any(paddings[0]):
        return False
    mode = node.attr["mode"].s.decode() if node.op == "MirrorPad" else "CONSTANT"

    def padded(x: Any, _paddings: Any, fill: Any = 0) -> Any:
        sizes = [-1, *(int(size or 0) for size in shape[1:])]
        for axis, around in enumerate(paddings.tolist()):
            if any(around):
                flat = tf.reshape(x, [-1, sizes[axis], math.prod(sizes[axis + 1 :])])
                flat = tf.pad(flat, [[0, 0], around, [0, 0]], mode, fill)
                sizes[axis] += sum(around)
                x = tf.reshape(flat, sizes)
        return x

    body.replace(node, padded)
    return True


DEEP_PAD = Lowering(
    name="deep_pad",
    operations=frozenset({"Pad", "PadV2", "MirrorPad"}),
    becomes="the same, one axis at a time",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
