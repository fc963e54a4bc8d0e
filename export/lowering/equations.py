"""Equations, inverses and determinants of small matrices, written out: only TensorFlow itself solves.

Gauss-Jordan elimination with the largest pivot of each column, Cholesky's decomposition column by column, and
substitution row by row: G. H. Golub and C. F. Van Loan, "Matrix Computations" (4th edition, 2013), sections 3.4, 4.2.5
and 3.1. TensorFlow's own are LAPACK's, with the same pivots; differences are of rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format

# Up to some fifteen operations for each row.
_LARGEST = 32


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    shapes = [body.shape(name) for name in body.inputs(node)]
    if node.attr["T"].type != tf.float32.as_datatype_enum or any(shape is None or len(shape) < 2 for shape in shapes):
        return False
    rows, columns = (shapes[0] or ())[-2:]
    if rows is None or rows != columns or not 0 < rows <= _LARGEST:
        return False
    adjoint, lower = node.attr["adjoint"].b, "lower" not in node.attr or node.attr["lower"].b
    compute: dict[str, Callable[..., Any]] = {
        "Cholesky": _cholesky,
        "MatrixInverse": lambda a: _solved(_turned(a, adjoint=adjoint), _identity(a)),
        "MatrixSolve": lambda a, b: _solved(_turned(a, adjoint=adjoint), b),
        "MatrixTriangularSolve": lambda a, b: _substituted(_turned(a, adjoint=adjoint), b, lower=lower != adjoint),
        "MatrixDeterminant": lambda a: _product(_pivots(a)),
        "LogMatrixDeterminant": _sign_and_log,
    }
    body.replace(node, compute[node.op])
    return True


def _turned(a: Any, *, adjoint: bool) -> Any:
    import tensorflow as tf

    return tf.linalg.matrix_transpose(a) if adjoint else a


def _identity(a: Any) -> Any:
    """The identity for each matrix."""
    import tensorflow as tf

    return tf.zeros_like(a) + tf.constant(np.eye(a.shape[-1], dtype=np.float32))


def _solved(a: Any, b: Any) -> Any:
    """What gives `b` when `a` is multiplied by it: both side by side, until `a` is the identity."""
    import tensorflow as tf

    size = int(a.shape[-1])
    both = tf.concat([a, b], axis=-1)
    for step in range(size):
        both, pivot, _ = _pivoted(both, step)
        row = pivot / pivot[..., step : step + 1]
        at_step = _only(size, step)
        factors = tf.where(at_step, 0.0, both[..., step : step + 1])
        both = tf.where(at_step, row[..., tf.newaxis, :], both - factors * row[..., tf.newaxis, :])
    return both[..., size:]


def _pivots(a: Any) -> list[Any]:
    """Factors of the determinant: what is on the diagonal of the upper triangle, and the sign of each exchange."""
    import tensorflow as tf

    size, found = int(a.shape[-1]), []
    for step in range(size):
        a, row, moved = _pivoted(a, step)
        pivot = row[..., step]
        found += [pivot, tf.where(moved, -1.0, 1.0)]
        # Where the pivot is zero, so is all below it.
        factors = a[..., step : step + 1] / tf.where(tf.equal(pivot, 0.0), 1.0, pivot)[..., tf.newaxis, tf.newaxis]
        below = tf.constant(np.arange(size)[:, np.newaxis] > step)
        a = a - tf.where(below, factors, 0.0) * row[..., tf.newaxis, :]
    return found


def _pivoted(a: Any, step: int) -> tuple[Any, Any, Any]:
    """The rows with the largest value of the column at that place; this row; and whether it came from another place."""
    import tensorflow as tf

    size = int(a.shape[-2])
    free = tf.constant(np.arange(size) >= step)
    place = tf.argmax(tf.where(free, tf.abs(a[..., step]), -1.0), axis=-1, output_type=tf.int32)
    chosen = tf.equal(tf.range(size), place[..., tf.newaxis])[..., tf.newaxis]
    row = tf.reduce_sum(tf.where(chosen, a, 0.0), axis=-2)
    other = a[..., step : step + 1, :]
    a = tf.where(_only(size, step), row[..., tf.newaxis, :], tf.where(chosen, other, a))
    return a, row, tf.not_equal(place, step)


def _only(size: int, step: int) -> Any:
    """True at one of the rows."""
    import tensorflow as tf

    return tf.constant(np.arange(size)[:, np.newaxis] == step)


def _product(factors: list[Any]) -> Any:
    product = factors[0]
    for factor in factors[1:]:
        product = product * factor
    return product


def _sign_and_log(a: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    pivots = _pivots(a)
    size = tf.math.log(tf.abs(pivots[0]))
    for pivot in pivots[2::2]:
        size += tf.math.log(tf.abs(pivot))
    return _product([tf.sign(factor) for factor in pivots]), size


def _substituted(a: Any, b: Any, *, lower: bool) -> Any:
    """What gives `b` when the triangle is multiplied by it, row by row."""
    import tensorflow as tf

    size = int(a.shape[-1])
    rows: dict[int, Any] = {}
    for step in range(size) if lower else reversed(range(size)):
        rows[step] = b[..., step : step + 1, :] / a[..., step : step + 1, step : step + 1]
        b = b - a[..., step : step + 1] * rows[step]
    return tf.concat([rows[step] for step in range(size)], axis=-2)


def _cholesky(a: Any) -> Any:
    """The lower triangle whose product with its transpose `a` is."""
    import tensorflow as tf

    size, columns = int(a.shape[-1]), []
    for step in range(size):
        column = a[..., step : step + 1] / tf.sqrt(a[..., step : step + 1, step : step + 1])
        column = tf.where(tf.constant(np.arange(size)[:, np.newaxis] >= step), column, 0.0)
        columns.append(column)
        a = a - column * tf.linalg.matrix_transpose(column)
    return tf.concat(columns, axis=-1)


EQUATIONS = Lowering(
    name="equations",
    operations=frozenset(
        (
            *("MatrixInverse", "MatrixSolve", "MatrixTriangularSolve"),
            *("MatrixDeterminant", "LogMatrixDeterminant", "Cholesky"),
        )
    ),
    becomes="elimination written out",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
