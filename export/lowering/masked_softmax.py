"""A softmax of scores masked with less than -1e20, as Keras's attention has it, with these at -1e9.

The largest of a row is at least -1e20 in TF.js 4.22 on webgl (`reduce_gpu.ts`): a row that is masked altogether, as of
padding, becomes 0 / 0 there. Everywhere else such a row has one answer, all its values alike, and so it has at -1e9.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format

_LEAST_ON_WEBGL = -1e20
_MASKED = -1e9


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    (scores,) = body.inputs(node)
    chosen = body.maker(scores)
    if chosen is None or chosen.op != "SelectV2" or node.attr["T"].type != tf.float32.as_datatype_enum:
        return False
    masks = [value for name in body.inputs(chosen)[1:] if (value := body.constant(name)) is not None]
    if not any(value.size and np.min(value) < _LEAST_ON_WEBGL for value in masks):
        return False
    body.replace(node, lambda x: tf.nn.softmax(tf.maximum(x, _MASKED)))
    return True


MASKED_SOFTMAX = Lowering(
    name="masked_softmax",
    operations=frozenset({"Softmax"}),
    becomes="the same of scores from -1e9 on",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
