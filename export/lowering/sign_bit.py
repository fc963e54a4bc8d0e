"""The sign bit of a float by comparison: TF.js has no Bitcast, TFLite no BitwiseAnd. `keras.ops.argmax` asks for it.

It looks at the bits of its input as an integer, of which only the highest counts: it is set for what is negative. Minus
zero counts as zero, which it equals: a division, which would tell them apart, fails in TFLite's int8.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format

_HIGHEST = int(np.iinfo(np.int32).min)


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    if (tf.as_dtype(node.attr["T"].type), tf.as_dtype(node.attr["type"].type)) != (tf.float32, tf.int32):
        return False
    reading = [one for one in body.nodes() if any(name.partition(":")[0] == node.name for name in one.input)]
    if not reading or not all(_takes_the_highest(body, one, node) for one in reading):
        return False
    body.replace(node, lambda x: tf.where(x < 0, _HIGHEST, 0))
    for one in reading:
        body.pass_on(one)
    return True


def _takes_the_highest(body: Body, node: Any, cast: Any) -> bool:
    if node.op != "BitwiseAnd" or node.input[0].partition(":")[0] != cast.name:
        return False
    mask = body.constant(node.input[1])
    return mask is not None and mask.size == 1 and int(mask.ravel()[0]) == _HIGHEST


SIGN_BIT = Lowering(
    name="sign_bit",
    operations=frozenset({"Bitcast"}),
    becomes="a comparison",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
