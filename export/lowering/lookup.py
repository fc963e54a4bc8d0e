"""LookupTableFindV2 of keys in one row, with their shape said again. StringLookup asks for it.

TF.js answers keys of any shape in one row. TFLite's converter does not know the shape of what a table answers, and its
quantizer gives up on what it does not know.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    shape = body.shape(body.inputs(node)[1])

    def found(table: Any, keys: Any, default: Any) -> Any:
        row = tf.raw_ops.LookupTableFindV2(table_handle=table, keys=tf.reshape(keys, [-1]), default_value=default)
        return tf.reshape(row, _one_open(shape) or tf.shape(keys))

    body.replace(node, found)
    return True


def _one_open(shape: tuple[int | None, ...] | None) -> list[int] | None:
    """The shape with -1 for its open dimension, or None when it has several, or an unknown rank."""
    if shape is None or shape.count(None) > 1:
        return None
    return [-1 if size is None else size for size in shape]


LOOKUP = Lowering(
    name="lookup",
    operations=frozenset({"LookupTableFindV2"}),
    becomes="a search for the keys in one row, brought back into their shape",
    when={Format.TFJS: When.ALWAYS, Format.TFLITE: When.ALWAYS},
    rewrite=_rewrite,
)
