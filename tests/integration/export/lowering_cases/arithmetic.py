"""Functions of single values, running products, arg max and spectra."""

from __future__ import annotations

from typing import Any

from pipeline.core.artifact import Format
from tests.integration.export.lowering_cases.case import Case, on_both, tensorflow


def _xlogy(x: Any) -> Any:
    tf = tensorflow()
    return tf.math.xlogy(tf.nn.relu(x), 2 + x * x) + tf.math.xdivy(tf.nn.relu(x), x)


def _erfinv(x: Any) -> Any:
    return tensorflow().math.erfinv(tensorflow().tanh(x))


def _elementary(x: Any) -> Any:
    tf = tensorflow()
    small = tf.tanh(x)
    arcs = tf.math.atan(x) + tf.math.asin(small) * tf.math.acos(small)
    return tf.math.erf(x) + tf.math.asinh(x) + tf.math.atanh(0.1 * x) + tf.math.cosh(x) + arcs


def _gamma(x: Any) -> Any:
    tf = tensorflow()
    return tf.math.lgamma(3 * x) + tf.math.digamma(tf.abs(x) + 0.1)


def _running_products(x: Any) -> Any:
    tf = tensorflow()
    plain, other = tf.math.cumprod(x, axis=1), tf.math.cumprod(x, axis=-1, exclusive=True, reverse=True)
    return plain + other + tf.math.cumprod(x, axis=1, reverse=True) + tf.math.cumprod(x, axis=2, exclusive=True)


def _running_sums(x: Any) -> Any:
    tf = tensorflow()
    return tf.cumsum(x, axis=-1) + tf.math.cumprod(x, axis=-2, exclusive=True)


def _best(x: Any) -> Any:
    import keras

    return tensorflow().cast(keras.ops.argmax(tensorflow().nn.relu(x) * -1.0, axis=-1), "float32")


def _loud(x: Any) -> Any:
    tf = tensorflow()
    frames = tf.signal.stft(x, frame_length=9, frame_step=6, fft_length=12)
    spectrum = tf.signal.rfft(x, [16])
    back = tf.signal.irfft(tf.complex(tf.nn.relu(tf.math.real(spectrum)), tf.math.imag(spectrum)), [15])
    return tf.concat([tf.reshape(tf.abs(frames), (-1, 21)), back, tf.signal.irfft(tf.complex(x, -x), [10])], axis=-1)


def _mixed(x: Any) -> Any:
    """FNet's mixing, cosine transforms, filters of frequencies in one and two dimensions, and turns by an angle."""
    tf = tensorflow()
    mixed = tf.math.real(tf.signal.fft2d(tf.cast(x, tf.complex64)))
    sharpened = tf.signal.irfft2d(tf.signal.rfft2d(x, [4, 6]) * tf.complex(x[:, :1, :1], x[:, 1:2, 1:2]), [4, 6])
    turned = tf.complex(x[..., ::2], x[..., 1::2]) * tf.exp(tf.complex(0.0, [0.1, 0.2, 0.3]))
    centred = tf.abs(tf.signal.fftshift(tf.signal.fft(tf.complex(x, 2 * x)), axes=-1))
    products = tf.einsum("bij,bkj->bik", turned, tf.math.conj(turned)) / tf.complex(2.0, 1.0)
    parts = [mixed, tf.signal.dct(x), sharpened, tf.math.imag(turned), centred, tf.math.angle(products)]
    return tf.concat([tf.reshape(part, (-1, part.shape[1] * part.shape[2])) for part in parts], axis=-1)


def _masked(x: Any) -> Any:
    tf = tensorflow()
    # 0.3 and 256 are true.
    return tf.where(tf.cast(tf.round(x) * 256 + 0.3 * tf.floor(x), "bool"), x, 2.0)


def _in_steps(x: Any) -> Any:
    tf = tensorflow()
    learned = tf.quantization.fake_quant_with_min_max_vars(x, -0.7, 1.0, narrow_range=True)
    by_column = tf.quantization.fake_quant_with_min_max_vars_per_channel(x, [-1.0] * 4, [0.5, 1, 2, 3], num_bits=4)
    return learned + by_column * tf.quantization.fake_quant_with_min_max_args(x, -0.5, 0.5, num_bits=3)


CASES = [
    *on_both("erfinv", _erfinv, (4,)),
    *on_both("gamma", _gamma, (6,)),
    *on_both("sign_bit", _best, (3, 5)),
    *on_both("complex_pairs", _loud, (21,)),
    *on_both("complex_pairs", _mixed, (3, 6)),
    Case(lowering="axis_from_behind", target=Format.TFJS, compute=_running_sums, shape=(3, 4)),
    Case(lowering="cumprod", target=Format.TFLITE, compute=_running_products, shape=(7, 3)),
    Case(lowering="elementary", target=Format.TFLITE, compute=_elementary, shape=(4,)),
    Case(lowering="erfc", target=Format.TFJS, compute=lambda x: 2.0 - tensorflow().math.erfc(x), shape=(4,)),
    Case(lowering="fake_quant", target=Format.TFJS, compute=_in_steps, shape=(9, 4)),
    Case(lowering="floor_division", target=Format.TFJS, compute=lambda x: x // 0.3, shape=(4,), variant="cpu"),
    Case(lowering="softsign", target=Format.TFJS, compute=lambda x: tensorflow().nn.softsign(x) * 2, shape=(4,)),
    Case(lowering="to_booleans", target=Format.TFJS, compute=_masked, shape=(9,)),
    Case(lowering="xlogy", target=Format.TFJS, compute=_xlogy, shape=(4,)),
]
