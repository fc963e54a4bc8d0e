"""Diagonals of matrices, read and written: TFLite reads none, TF.js neither reads nor writes any."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    matrix, *others = body.inputs(node)
    shape = body.shape(matrix)
    number = body.constant(others[1 if node.op == "MatrixSetDiagV3" else 0])
    if shape is None or None in shape[-2:] or number is None or number.size != 1:
        return False
    rows, columns, diagonal = int(shape[-2] or 0), int(shape[-1] or 0), int(number.item())
    if not -rows < diagonal < columns:
        return False
    compute = _read if node.op == "MatrixDiagPartV3" else _written
    body.replace(node, lambda *given: compute(rows, columns, diagonal, *given[:2]))
    return True


def _read(rows: int, columns: int, diagonal: int, x: Any, _: Any) -> Any:
    """Every `columns + 1`th value of the rows laid end to end."""
    import tensorflow as tf

    places = [row * columns + row + diagonal for row in range(rows) if 0 <= row + diagonal < columns]
    ahead = [-1 if size is None else int(size) for size in x.shape[:-2]]
    if ahead.count(-1) > 1:
        ahead = tf.unstack(tf.shape(x)[:-2])
    return tf.gather(tf.reshape(x, [*ahead, rows * columns]), places, axis=-1)


def _written(rows: int, columns: int, diagonal: int, x: Any, values: Any) -> Any:
    """A choice by row and column."""
    import tensorflow as tf

    first, length = max(-diagonal, 0), int(values.shape[-1])
    padding = [[0, 0]] * (values.shape.rank - 1) + [[first, rows - first - length]]
    return tf.where(tf.constant(np.eye(rows, columns, diagonal, dtype=np.bool_)), tf.pad(values, padding)[..., None], x)


DIAGONAL = Lowering(
    name="diagonal",
    operations=frozenset({"MatrixDiagPartV3", "MatrixSetDiagV3"}),
    becomes="a gathering, or a choice by row and column",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
