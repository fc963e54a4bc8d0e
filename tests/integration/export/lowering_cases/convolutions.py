"""Convolutions and pools."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.artifact import Format
from tests.integration.export.lowering_cases.case import SAMPLES, Case, on_both, tensorflow


def _kernel(*shape: int) -> Any:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def _skipping(x: Any) -> Any:
    return tensorflow().nn.conv2d(x, _kernel(3, 3, 2, 4), strides=4, padding="SAME")


def _in_groups(x: Any) -> Any:
    tf = tensorflow()
    hidden = tf.nn.conv2d(x, _kernel(3, 2, 2, 8), [1, 2, 1, 1], "SAME")
    deep = tf.nn.conv2d(hidden, _kernel(2, 2, 1, 16), [1, 1, 1, 1], "VALID", dilations=[1, 2, 2, 1])
    return tf.nn.conv2d(deep, _kernel(1, 2, 4, 4), [1, 1, 1, 1], [[0, 0], [1, 0], [0, 1], [0, 0]])


def _unfolded(x: Any) -> Any:
    tf = tensorflow()
    wide = tf.nn.conv3d_transpose(x, _kernel(3, 2, 1, 4, 2), [SAMPLES, 5, 9, 4, 4], [1, 2, 3, 1, 1], "SAME")
    wide = tf.nn.conv3d_transpose(wide, _kernel(2, 2, 2, 3, 4), [SAMPLES, 6, 18, 8, 3], [1, 1, 2, 2, 1], "VALID")
    gaps = [1, 1, 2, 3, 1]
    return tf.nn.conv3d_transpose(wide, _kernel(2, 2, 2, 1, 3) / 10, [SAMPLES, 6, 18, 8, 1], 1, "SAME", dilations=gaps)


def _with_gaps(x: Any) -> Any:
    import keras

    return keras.ops.conv_transpose(x, _kernel(3, 2, 4, 2), 1, "same", dilation_rate=(2, 3))


def _pooled(x: Any) -> Any:
    tf = tensorflow()
    wide, small = ([2, 3, 2], [2, 2, 1]), ([2, 2, 3], [1, 2, 2])
    return tf.concat(
        [
            tf.reshape(pool(x, *sizes, padding), (-1, count))
            for pool, sizes, padding, count in (
                (tf.nn.max_pool3d, wide, "SAME", 72),
                (tf.nn.avg_pool3d, wide, "SAME", 72),
                (tf.nn.avg_pool3d, small, "VALID", 24),
            )
        ],
        axis=1,
    )


def _pooled_below_zero(x: Any) -> Any:
    return tensorflow().nn.max_pool3d(-1.0 - x * x, 2, [1, 2, 1], "VALID")


def _padded(x: Any) -> Any:
    tf = tensorflow()
    wide = tf.pad(x, [[0, 0], [1, 0], [0, 2], [0, 0], [0, 1]], constant_values=3.0)
    return tf.pad(wide, [[0, 0], [0, 0], [1, 1], [1, 0], [0, 0]], "SYMMETRIC") + 0.5


def _in_depth_with_gaps(x: Any) -> Any:
    import keras

    wide = keras.ops.conv(x, _kernel(2, 3, 2, 2, 3), padding="same", dilation_rate=(2, 1, 3))
    return keras.ops.conv(wide, _kernel(2, 2, 2, 3, 2), padding="valid", dilation_rate=2)


def _backwards(x: Any) -> Any:
    return tensorflow().reverse(x, [1, 4])[:, 3::-2, :, 1:3] + x[:, :3:2, :, ::2]


CASES = [
    *on_both("dilated_transpose", _with_gaps, (5, 7, 2)),
    *on_both("unpadded_convolution", _skipping, (16, 16, 2), on_old=True),
    Case(lowering="conv_3d_transpose", target=Format.TFJS, compute=_unfolded, shape=(3, 3, 4, 2)),
    Case(lowering="grouped_convolution", target=Format.TFJS, compute=_in_groups, shape=(9, 7, 4)),
    Case(lowering="dilated_conv_3d", target=Format.TFLITE, compute=_in_depth_with_gaps, shape=(5, 4, 6, 2)),
    Case(
        lowering="dilated_conv_3d",
        target=Format.TFJS,
        compute=_in_depth_with_gaps,
        shape=(5, 4, 6, 2),
        variant="webgl",
    ),
    Case(lowering="deep_slices", target=Format.TFJS, compute=_backwards, shape=(4, 2, 4, 2), variant="webgl"),
    Case(lowering="deep_pad", target=Format.TFJS, compute=_padded, shape=(2, 3, 2, 2), variant="webgl"),
    Case(lowering="pool_3d", target=Format.TFJS, compute=_pooled_below_zero, shape=(3, 4, 2, 2)),
    Case(lowering="pool_3d", target=Format.TFLITE, compute=_pooled, shape=(4, 5, 6, 2)),
]
