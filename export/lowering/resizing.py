"""What resizes an image as two products with constant matrices, one for its rows and one for its columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.lowering.body import Body


def replace_by_products(body: Body, node: Any, rows: NDArray[np.float32], columns: NDArray[np.float32]) -> None:
    """Let images [batch, height, width, channels] be multiplied; `rows` is float32 [wanted height, given height]."""
    import tensorflow as tf

    def resized(x: Any, *_: Any) -> Any:
        # Height and width are each brought to the end in turn.
        tall = tf.matmul(tf.transpose(tf.cast(x, tf.float32), [0, 3, 2, 1]), rows, transpose_b=True)
        return tf.transpose(tf.matmul(tf.transpose(tall, [0, 1, 3, 2]), columns, transpose_b=True), [0, 2, 3, 1])

    body.replace(node, resized)


def along_one_axis(given: int, resize: Callable[[NDArray[np.float32]], Any]) -> NDArray[np.float32]:
    """What `resize` does to the height of an image, as a matrix, float32 [wanted, given]: to the unit matrix."""
    return np.asarray(resize(np.eye(given, dtype=np.float32)[np.newaxis, :, :, np.newaxis])[0, :, :, 0], np.float32)
