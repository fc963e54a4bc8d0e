"""Erfinv as two polynomials: neither TF.js nor TFLite has it.

Giles, "Approximating the erfinv function", GPU Computing Gems Jade Edition (2012), the version for single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format

_CENTRAL = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
_TAIL = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    if node.attr["T"].type != tf.float32.as_datatype_enum:
        return False
    body.replace(node, _inverse)
    return True


def _inverse(x: Any) -> Any:
    import tensorflow as tf

    # Infinite at 1 and -1, where the polynomials would say NaN.
    end = tf.abs(x) >= 1
    w = -tf.math.log(tf.where(end, tf.ones_like(x), (1 - x) * (1 + x)))
    factor = tf.where(w < 5, _polynomial(w - 2.5, _CENTRAL), _polynomial(tf.sqrt(w) - 3, _TAIL))
    return tf.where(end, x / tf.zeros_like(x), factor * x)


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    first, *others = coefficients
    value = first * x
    for coefficient in others[:-1]:
        value = (value + coefficient) * x
    return value + others[-1]


ERFINV = Lowering(
    name="erfinv",
    operations=frozenset({"Erfinv"}),
    becomes="two polynomials",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
