"""A sum over nothing as the zeros that it is: TF.js answers what lies in wasm's memory, and refuses on webgl."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    tensor, axis_name = body.inputs(node)
    shape, axis = body.shape(tensor), body.constant(axis_name)
    if shape is None or axis is None:
        return False
    axes = {int(one) % len(shape) for one in np.atleast_1d(axis)}
    if not any(shape[one] == 0 for one in axes):
        return False
    keep, kind = node.attr["keep_dims"].b, tf.as_dtype(node.attr["T"].type)

    def zeros(x: Any, _axis: Any) -> Any:
        sizes = [
            1 if at in axes else (tf.shape(x)[at] if size is None else size)
            for at, size in enumerate(shape)
            if keep or at not in axes
        ]
        return tf.zeros(tf.stack(sizes) if sizes else (), kind)

    body.replace(node, zeros)
    return True


EMPTY_SUM = Lowering(
    name="empty_sum",
    operations=frozenset({"Sum"}),
    becomes="zeros",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
