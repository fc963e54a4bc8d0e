"""Rounding to integer steps, which quantization-aware training puts into a model, by its formula: TF.js leaves it out.

TF.js 4.22 lists FakeQuantWithMinMaxVars and hands values on as they are, beyond the range as well; the other two it
lacks. The formula, with its range moved so that zero is a step, is that of TensorFlow's `fake_quant_ops_functor.h`.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from export.lowering.places import attribute
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    first = float(attribute(node, "narrow_range").b)
    last = float(2 ** attribute(node, "num_bits").i - 1)
    if node.op == "FakeQuantWithMinMaxArgs":
        low, high = attribute(node, "min").f, attribute(node, "max").f
        # In float32, as TensorFlow has it: which step is zero may hang on a last digit.
        body.replace(node, lambda x: _in_steps(x, tf.constant(low), tf.constant(high), first, last))
    else:
        body.replace(node, lambda x, low, high: _in_steps(x, low, high, first, last))
    return True


def _in_steps(x: Any, low: Any, high: Any, first: float, last: float) -> Any:
    import tensorflow as tf

    scale = (high - low) / (last - first)
    zero = tf.clip_by_value(tf.floor(first - low / scale + 0.5), first, last)
    bottom, top = (first - zero) * scale, (last - zero) * scale
    return tf.floor((tf.minimum(tf.maximum(x, bottom), top) - bottom) / scale + 0.5) * scale + bottom


FAKE_QUANT = Lowering(
    name="fake_quant",
    operations=frozenset({"FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel"}),
    becomes="a clip and a rounding",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
