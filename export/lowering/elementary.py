"""Functions that TFLite lacks, out of those that it has: arcs, hyperbolic functions and their inverses, Tan, Erf, Erfc.

Applied only to an operation that the converter has refused: it knows GELU by its Erfc, and makes one operation of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    if node.attr["T"].type != tf.float32.as_datatype_enum:
        return False
    body.replace(node, _FUNCTIONS[node.op])
    return True


def _asinh(x: Any) -> Any:
    import tensorflow as tf

    size = tf.abs(x)
    return tf.sign(x) * tf.math.log(size + tf.sqrt(size * size + 1))


def _acosh(x: Any) -> Any:
    import tensorflow as tf

    return tf.math.log(x + tf.sqrt(x * x - 1))


def _atanh(x: Any) -> Any:
    import tensorflow as tf

    return 0.5 * tf.math.log((1 + x) / (1 - x))


def _sinh(x: Any) -> Any:
    import tensorflow as tf

    return 0.5 * (tf.exp(x) - tf.exp(-x))


def _cosh(x: Any) -> Any:
    import tensorflow as tf

    return 0.5 * (tf.exp(x) + tf.exp(-x))


def _tan(x: Any) -> Any:
    import tensorflow as tf

    return tf.sin(x) / tf.cos(x)


def _atan(x: Any) -> Any:
    import tensorflow as tf

    return tf.atan2(x, tf.ones_like(x))


def _asin(x: Any) -> Any:
    import tensorflow as tf

    return tf.atan2(x, _other_leg(x))


def _acos(x: Any) -> Any:
    import tensorflow as tf

    return tf.atan2(_other_leg(x), x)


def _other_leg(x: Any) -> Any:
    """Of the right triangle with the hypotenuse 1. The product keeps the digits that 1 - x^2 loses near 1."""
    import tensorflow as tf

    return tf.sqrt((1 - x) * (1 + x))


def _erf(x: Any) -> Any:
    """Abramowitz and Stegun, Handbook of Mathematical Functions, formula 7.1.26; its error is below 1.5e-7."""
    import tensorflow as tf

    size = tf.abs(x)
    t = 1 / (1 + 0.3275911 * size)
    polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return tf.sign(x) * (1 - polynomial * tf.exp(-size * size))


def _erfc(x: Any) -> Any:
    return 1 - _erf(x)


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "Acos": _acos,
    "Asin": _asin,
    "Atan": _atan,
    "Asinh": _asinh,
    "Acosh": _acosh,
    "Atanh": _atanh,
    "Sinh": _sinh,
    "Cosh": _cosh,
    "Tan": _tan,
    "Erf": _erf,
    "Erfc": _erfc,
}

ELEMENTARY = Lowering(
    name="elementary",
    operations=frozenset(_FUNCTIONS),
    becomes="exponentials, logarithms, angles and rational functions",
    when={Format.TFLITE: When.REFUSED},
    rewrite=_rewrite,
)
