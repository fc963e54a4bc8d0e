"""Lgamma and Digamma by Lanczos's approximation: neither TF.js nor TFLite has them.

C. Lanczos, "A Precision Approximation of the Gamma Function" (SIAM J. Numer. Anal. B 1, 1964), with g = 7 and the nine
coefficients of P. Godfrey, as in XLA's `Lgamma` and `Digamma` (`xla/hlo/builder/lib/math.cc`); below one half by
Euler's reflection. In float32 both are off by at most 3e-6 of 1 + |y|, measured from -10 to 10,000. At its poles
Digamma is infinite here, and NaN in TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format

_G = 7.0
_FIRST = 0.99999999999980993227684700473478
_COEFFICIENTS = (
    676.520368121885098567009190444019,
    -1259.13921672240287047156078755283,
    771.3234287776530788486528258894,
    -176.61502916214059906584551354,
    12.507343278686904814458936853,
    -0.13857109526572011689554707,
    9.984369578019570859563e-6,
    1.50563273514931155834e-7,
)


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    if node.attr["T"].type != tf.float32.as_datatype_enum:
        return False
    body.replace(node, _FORMULAS[node.op])
    return True


def _lgamma(x: Any) -> Any:
    import tensorflow as tf

    mirrored = x < 0.5
    z = tf.where(mirrored, -x, x - 1)
    series, _ = _series(z)
    t = z + _G + 0.5
    # As XLA has it, for digits: (z + 1/2) ln t - t, with t taken out of both.
    log_t = math.log(_G + 0.5) + tf.math.log1p(z / (_G + 0.5))
    direct = 0.5 * math.log(2 * math.pi) + (z + 0.5 - t / log_t) * log_t + tf.math.log(series)
    size = tf.abs(x)
    fraction = size - tf.floor(size)
    # The sine of pi x, whose distance to the next integer keeps its digits.
    sine = tf.sin(math.pi * tf.where(fraction > 0.5, 1 - fraction, fraction))
    found = tf.where(mirrored, math.log(math.pi) - tf.math.log(sine) - direct, direct)
    # Infinity, found without a constant of it: the weights' file of TF.js is JSON in part.
    return tf.where(tf.logical_and(tf.equal(size, size + size), size > 1), size, found)


def _digamma(x: Any) -> Any:
    import tensorflow as tf

    mirrored = x < 0.5
    z = tf.where(mirrored, -x, x - 1)
    series, slope = _series(z)
    t = z + _G + 0.5
    direct = math.log(_G + 0.5) + tf.math.log1p(z / (_G + 0.5)) + slope / series - _G / t
    turn = math.pi * (x - tf.floor(x + 0.5))
    return tf.where(mirrored, direct - math.pi * tf.cos(turn) / tf.sin(turn), direct)


def _series(z: Any) -> tuple[Any, Any]:
    """The sum of the approximation and its derivative."""
    import tensorflow as tf

    total, slope = _FIRST + tf.zeros_like(z), tf.zeros_like(z)
    for position, coefficient in enumerate(_COEFFICIENTS, 1):
        total += coefficient / (z + position)
        slope -= coefficient / ((z + position) * (z + position))
    return total, slope


_FORMULAS: dict[str, Callable[[Any], Any]] = {"Lgamma": _lgamma, "Digamma": _digamma}

GAMMA = Lowering(
    name="gamma",
    operations=frozenset(_FORMULAS),
    becomes="Lanczos's approximation",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
