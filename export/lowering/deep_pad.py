"""Padding of five dimensions and more, one axis at a time in three: TF.js 4.22 pads no more than four on webgl.

Keras's ZeroPadding3D does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from export.lowering.one_axis import MOST_ON_WEBGL, along
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    tensor, paddings_name, *_ = body.inputs(node)
    shape, paddings = body.shape(tensor), body.constant(paddings_name)
    if shape is None or len(shape) <= MOST_ON_WEBGL or paddings is None or None in shape[1:] or any(paddings[0]):
        return False
    mode = node.attr["mode"].s.decode() if node.op == "MirrorPad" else "CONSTANT"

    body.replace(node, lambda x, _paddings, fill=0: padded(x, paddings.tolist(), mode, fill))
    return True


def padded(x: Any, paddings: Sequence[Sequence[int]], mode: str = "CONSTANT", fill: Any = 0) -> Any:
    """The tensor with so much before and after each axis but the first, whose sizes are known."""
    import tensorflow as tf

    for axis, around in enumerate(paddings):
        if any(around):
            x = along(x, axis, partial(tf.pad, paddings=[[0, 0], around, [0, 0]], mode=mode, constant_values=fill))
    return x


DEEP_PAD = Lowering(
    name="deep_pad",
    operations=frozenset({"Pad", "PadV2", "MirrorPad"}),
    becomes="the same, one axis at a time",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
