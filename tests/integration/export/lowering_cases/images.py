"""Images: resized, recoloured, taken apart into patches."""

from __future__ import annotations

from typing import Any

from pipeline.core.artifact import Format
from tests.integration.export.lowering_cases.case import Case, on_both, tensorflow


def _patches(x: Any) -> Any:
    import keras

    tf = tensorflow()
    patches = keras.ops.image.extract_patches(x, size=2)
    spread = tf.linalg.diag(x[:, :, 0, 0])
    return tf.concat([tf.reshape(patches, (-1, 32)), tf.reshape(spread, (-1, 16))], axis=1)


def _recoloured(x: Any) -> Any:
    tf = tensorflow()
    grey_or_coloured = tf.sigmoid(tf.concat([x, x[..., :1] * tf.ones(3)], axis=1))
    turned = tf.image.hsv_to_rgb(tf.image.rgb_to_hsv(grey_or_coloured) * [0.7, 1.0, 0.9])
    stronger = tf.image.adjust_saturation(tf.image.adjust_hue(turned, 0.3), 1.6)
    return tf.image.adjust_contrast(stronger, 1.5) + tf.raw_ops.AdjustHue(images=turned - 0.5, delta=-0.2)


def _shrunk(x: Any) -> Any:
    tf = tensorflow()
    small = tf.image.resize(x, [4, 5], antialias=True)
    return small + tf.image.resize(x, [4, 5], method="lanczos5")


def _resized(x: Any) -> Any:
    tf = tensorflow()
    return tf.image.resize(x, [7, 6], method="bicubic") + tf.image.resize(x, [7, 6], method="area")


CASES = [
    *on_both("bicubic", _resized, (4, 5, 2)),
    *on_both("colours", _recoloured, (4, 3, 3)),
    *on_both("scale_and_translate", _shrunk, (9, 7, 2)),
    Case(
        lowering="image_patches",
        target=Format.TFLITE,
        compute=lambda x: tensorflow().image.extract_patches(x, [1, 3, 2, 1], [1, 2, 1, 1], [1, 1, 2, 1], "SAME"),
        shape=(5, 6, 2),
    ),
    Case(
        lowering="image_patches",
        target=Format.TFJS,
        compute=lambda x: tensorflow().image.extract_patches(x, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID"),
        shape=(4, 6, 2),
    ),
    Case(lowering="matrix_diag", target=Format.TFJS, compute=_patches, shape=(4, 4, 2)),
    Case(
        lowering="space_to_depth",
        target=Format.TFJS,
        compute=lambda x: tensorflow().nn.space_to_depth(x, 2),
        shape=(4, 6, 3),
    ),
]
