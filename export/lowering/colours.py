"""Colours of tf.image by arithmetic: neither TF.js nor TFLite has hue, saturation or contrast.

The formulas are those of TensorFlow's kernels (`core/kernels/image/colorspace_op.h`, `adjust_hue_op.cc`,
`adjust_saturation_op.cc`, `adjust_contrast_op.cc`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from export.lowering.places import input_types
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    shape = body.shape(body.inputs(node)[0])
    if not shape or shape[-1] is None or input_types(node)[0] != tf.float32.as_datatype_enum:
        return False
    body.replace(node, _FORMULAS[node.op])
    return True


def _hsv_of(x: Any) -> Any:
    import tensorflow as tf

    hue, spread, brightest = _hue_of(x)
    return tf.stack([hue, _ratio(spread, brightest), brightest], axis=-1)


def _rgb_of(x: Any) -> Any:
    hue, saturation, brightness = _channels(x)
    return _coloured(hue, saturation, brightness)


def _contrast(x: Any, factor: Any) -> Any:
    import tensorflow as tf

    mean = tf.reduce_mean(x, axis=[-3, -2], keepdims=True)
    return (x - mean) * factor + mean


def _saturated(x: Any, scale: Any) -> Any:
    import tensorflow as tf

    hue, spread, brightest = _hue_of(x)
    return _coloured(hue, tf.clip_by_value(_ratio(spread, brightest) * scale, 0.0, 1.0), brightest)


def _turned(x: Any, delta: Any) -> Any:
    """Another hue between the same darkest and brightest values, which may be negative."""
    import tensorflow as tf

    hue, spread, brightest = _hue_of(x)
    turned = hue + delta
    shares = _shares(turned - tf.floor(turned))
    return tf.stack([brightest - spread + spread * share for share in shares], axis=-1)


def _channels(x: Any) -> list[Any]:
    import tensorflow as tf

    return list(tf.unstack(x, num=3, axis=-1))


def _hue_of(x: Any) -> tuple[Any, Any, Any]:
    """Hue between 0 and 1, the distance from the darkest to the brightest channel, and the brightest."""
    import tensorflow as tf

    red, green, blue = _channels(x)
    brightest = tf.maximum(tf.maximum(red, green), blue)
    spread = brightest - tf.minimum(tf.minimum(red, green), blue)
    sixth = 6 * tf.where(spread > 0, spread, tf.ones_like(spread))
    hue = tf.where(
        tf.equal(red, brightest),
        (green - blue) / sixth,
        tf.where(tf.equal(green, brightest), (blue - red) / sixth + 2 / 6, (red - green) / sixth + 4 / 6),
    )
    return tf.where(hue < 0, hue + 1, hue), spread, brightest


def _ratio(spread: Any, brightest: Any) -> Any:
    import tensorflow as tf

    bright = brightest > 0
    return tf.where(bright, spread / tf.where(bright, brightest, tf.ones_like(brightest)), tf.zeros_like(brightest))


def _shares(hue: Any) -> list[Any]:
    """How far each channel is from the darkest to the brightest value."""
    import tensorflow as tf

    turn = hue * 6
    ways = (tf.abs(turn - 3) - 1, 2 - tf.abs(turn - 2), 2 - tf.abs(turn - 4))
    return [tf.clip_by_value(way, 0.0, 1.0) for way in ways]


def _coloured(hue: Any, saturation: Any, brightness: Any) -> Any:
    import tensorflow as tf

    return tf.stack([(1 - saturation + saturation * share) * brightness for share in _shares(hue)], axis=-1)


_FORMULAS: dict[str, Callable[..., Any]] = {
    "RGBToHSV": _hsv_of,
    "HSVToRGB": _rgb_of,
    "AdjustContrastv2": _contrast,
    "AdjustSaturation": _saturated,
    "AdjustHue": _turned,
}

COLOURS = Lowering(
    name="colours",
    operations=frozenset(_FORMULAS),
    becomes="arithmetic on its channels",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
