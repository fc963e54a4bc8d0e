"""What is no arithmetic: branches, checks, functions kept apart, state that counts."""

from __future__ import annotations

from typing import Any

from pipeline.core.artifact import Format
from tests.integration.export.lowering_cases.case import Case, tensorflow


def _checked(x: Any) -> Any:
    tf = tensorflow()
    with tf.control_dependencies([tf.debugging.assert_less(x, 1e9)]):
        return tf.debugging.check_numerics(tf.identity(x), "not finite") * 2.0


def _compiled(x: Any) -> Any:
    # `jit_compile` keeps the function apart.
    return tensorflow().function(lambda y: y * y + 1.0, jit_compile=True)(x)


def _seeds() -> Any:
    import keras

    return keras.random.SeedGenerator(1)


def _counting(x: Any, seeds: Any) -> Any:
    seeds.next()
    return x * 2.0


def _guarded(x: Any) -> Any:
    tf = tensorflow()
    return tf.cond(tf.reduce_max(tf.abs(x)) < 9.0, lambda: tf.sin(x) + x, lambda: x * 0.25)


def narrowed(x: Any) -> Any:
    tf = tensorflow()
    # A choice between both would stretch the one column to four.
    return tf.reduce_sum(tf.cond(tf.reduce_max(x) < 1e6, lambda: x[:, :1], lambda: x), axis=1)


def halved(x: Any) -> Any:
    tf = tensorflow()

    def halve(y: Any) -> Any:
        # Without the branch before it, NaN would go round for ever.
        return tf.while_loop(lambda z: ~(tf.reduce_max(z) < 1.0), lambda z: (z / 2,), (y,))[0]

    return tf.cond(tf.reduce_all(tf.math.is_finite(x)), lambda: halve(x), lambda: x)


CASES = [
    Case(lowering="branch", target=Format.TFLITE, compute=_guarded, shape=(4,), on_old=True),
    Case(lowering="debugging", target=Format.TFJS, compute=_checked, shape=(4,)),
    Case(lowering="inlining", target=Format.TFJS, compute=_compiled, shape=(4,)),
    Case(lowering="seed_state", target=Format.TFJS, compute=_counting, shape=(4,), holds=_seeds),
]
