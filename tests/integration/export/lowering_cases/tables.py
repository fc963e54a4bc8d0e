"""Values that are looked up or counted."""

from __future__ import annotations

from typing import Any

from pipeline.core.artifact import Format, Precision
from tests.integration.export.lowering_cases.case import Case, tensorflow

WORDS = ["red", "green", "Großvater", "unheard of"]


def _table() -> Any:
    tf = tensorflow()
    known = tf.lookup.KeyValueTensorInitializer(tf.constant(WORDS[:-1]), tf.constant([3, 1, 2], tf.int64))
    return tf.lookup.StaticHashTable(known, default_value=0)


def _looked_up(x: Any, table: Any) -> Any:
    return tensorflow().cast(table.lookup(x), "float32")


def _integer_table() -> Any:
    tf = tensorflow()
    # Out of order, one that only int64 holds beside one that equals it in 32 bits, and five: no power of two.
    known = tf.constant([7, -3, 2**40 + 1, 1, 0], tf.int64)
    return tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(known, tf.constant([5, 4, 3, 2, -6], tf.int64)), default_value=9
    )


def _integers_looked_up(x: Any, table: Any) -> Any:
    tf = tensorflow()
    wanted = tf.cast(x, tf.int64)
    # 5 is looked up as 2^40 + 1.
    far = tf.where(wanted > 4, tf.constant(2**40 + 1, tf.int64), wanted)
    return tf.cast(table.lookup(far) * 10 + table.lookup(wanted - 3), tf.float32)


def _looked_up_beside_others(x: Any, table: Any) -> Any:
    tf = tensorflow()
    others = tf.nn.relu(1 - tf.abs(tf.fill([tf.shape(x)[0], 1], 0.5) - tf.range(3.0)))
    return tf.matmul(
        tf.concat([_looked_up(x, table), others], axis=-1), tf.constant([[1.0, 0], [0, 1], [0, 2], [1, 0]])
    )


CASES = [
    Case(
        lowering="bincount",
        target=Format.TFLITE,
        compute=lambda x: tensorflow().math.bincount(x, minlength=6, maxlength=6, axis=-1, dtype="float32"),
        shape=(7,),
        dtype="int32",
    ),
    Case(
        lowering="bucketize",
        target=Format.TFJS,
        compute=lambda x: tensorflow().raw_ops.Bucketize(input=x, boundaries=[-0.5, 0.0, 0.7]),
        shape=(4,),
    ),
    Case(
        lowering="integer_lookup",
        target=Format.TFLITE,
        compute=_integers_looked_up,
        shape=(3, 2),
        dtype="int32",
        holds=_integer_table,
    ),
    Case(lowering="lookup", target=Format.TFJS, compute=_looked_up, shape=(3,), dtype="string", holds=_table),
    Case(
        lowering="lookup",
        target=Format.TFLITE,
        compute=_looked_up_beside_others,
        shape=(1,),
        dtype="string",
        precision=Precision.INT8,
        holds=_table,
    ),
]
