"""MatrixBandPart as a choice by row and column: TF.js 4.22 takes the lower bound for the upper one as well.

Its converter's list of operations (`op_list/matrices.ts`) has both `numLower` and `numUpper` at position 1. So the
lower triangle of a causal mask comes out full, and attention looks ahead. Attention with `use_causal_mask` asks for it.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    tensor, lower_name, upper_name = body.inputs(node)
    if body.shape(tensor) is None:
        return False
    lower_known, upper_known = body.constant(lower_name), body.constant(upper_name)

    def banded(x: Any, lower: Any, upper: Any) -> Any:
        rows, columns = (tf.shape(x)[axis] if x.shape[axis] is None else int(x.shape[axis]) for axis in (-2, -1))
        below = tf.range(rows)[:, tf.newaxis] - tf.range(columns)
        kept = tf.logical_and(_within(below, lower, lower_known), _within(-below, upper, upper_known))
        return tf.logical_and(x, kept) if x.dtype == tf.bool else tf.where(kept, x, tf.zeros((), x.dtype))

    body.replace(node, banded)
    return True


def _within(distance: Any, bound: Any, known: Any) -> Any:
    """Where the distance from the diagonal is at most the bound; a negative bound is none."""
    import tensorflow as tf

    if known is not None:
        return tf.ones_like(distance, tf.bool) if known < 0 else distance <= int(known)
    limit = tf.cast(bound, tf.int32)
    return tf.logical_or(limit < 0, distance <= limit)


BAND_PART = Lowering(
    name="band_part",
    operations=frozenset({"MatrixBandPart"}),
    becomes="a choice by row and column",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
