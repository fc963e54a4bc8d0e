"""A matrix with a vector on its diagonal, as a choice: TF.js has no MatrixDiag.

Keras makes an identity matrix of it, `keras.ops.eye`, and cuts images into patches with that: vision transformers do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    vector, *settings = body.inputs(node)
    shape = body.shape(vector)
    size = None if not shape else shape[-1]
    if size is None or not _is_plain([body.constant(name) for name in settings], size):
        return False

    def spread(x: Any, *_: Any) -> Any:
        # Not a product with the identity, which would make NaN of what is infinite.
        return tf.where(tf.constant(np.eye(size, dtype=np.bool_)), x[..., tf.newaxis], tf.zeros((), x.dtype))

    body.replace(node, spread)
    return True


def _is_plain(settings: list[Any], size: int) -> bool:
    """Whether it is a square matrix with the vector on its main diagonal and 0 elsewhere.

    `settings` are the diagonal's number, rows, columns and padding, None where they are computed; the first version of
    the operation has none.
    """
    if not settings:
        return True
    if any(setting is None or setting.size != 1 for setting in settings):
        return False
    diagonal, rows, columns, padding = (setting.item() for setting in settings)
    return diagonal == 0 and rows in (-1, size) and columns in (-1, size) and not padding


MATRIX_DIAG = Lowering(
    name="matrix_diag",
    operations=frozenset({"MatrixDiag", "MatrixDiagV2", "MatrixDiagV3"}),
    becomes="a choice by row and column",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
