"""LookupTableFindV2 of integers for integers as a binary search: TFLite's tables have text on one side.

IntegerLookup asks for it. The keys are constants of the graph, and every step is exact in int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    content = body.table(body.inputs(node)[0])
    if content is None or any(part.dtype != np.int64 or part.ndim != 1 or not part.size for part in content):
        return False
    keys, values = content
    steps = int(keys.size - 1).bit_length()
    order = np.argsort(keys)
    # The largest key once more up to a power of two: no step looks beyond the end then.
    order = np.concatenate([order, np.repeat(order[-1:], 2**steps - keys.size)])
    keys, values = keys[order], values[order]

    def found(table: Any, wanted: Any, default: Any) -> Any:  # noqa: ARG001  # the node's own first input
        row = tf.reshape(wanted, [-1])
        place = tf.zeros_like(row, tf.int32)
        for step in reversed(range(steps)):
            place += 2**step * tf.cast(tf.gather(keys, place + 2**step) <= row, tf.int32)
        known = tf.cast(tf.equal(tf.gather(keys, place), row), tf.int32)
        answers = tf.concat([tf.reshape(default, [1]), values], axis=0)
        return tf.reshape(tf.gather(answers, known * (place + 1)), tf.shape(wanted))

    body.replace(node, found)
    return True


INTEGER_LOOKUP = Lowering(
    name="integer_lookup",
    operations=frozenset({"LookupTableFindV2"}),
    becomes="a binary search in sorted constants",
    when={Format.TFLITE: When.ALWAYS},
    rewrite=_rewrite,
)
