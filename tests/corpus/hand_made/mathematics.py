"""Operations beyond layers, and numbers at the edges: FFT, sparse, ragged, sorting, overflow, NaN, chance."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pipeline.core.signature import Tensors
from tests.corpus.corpus_model import SAMPLES, CorpusModel, evenly, keras_file, uniform

_MODULE = "tests.corpus.hand_made.mathematics"


def _own(cls: Any) -> Any:
    return keras.saving.register_keras_serializable(package="corpus")(cls)


@_own
class Spectrum(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Complex numbers inside: magnitude of the spectrum, and the signal with its high part cut off."""

    def call(self, x: Any) -> Any:
        spectrum = tf.signal.rfft(x)
        low = spectrum * tf.cast(tf.range(9) < 4, tf.complex64)
        return {"magnitude": tf.abs(spectrum), "smooth": tf.signal.irfft(low, fft_length=[16])}


@_own
class Complex(layers.Layer):  # type: ignore[misc]
    """A complex output."""

    def call(self, x: Any) -> Any:
        return tf.signal.fft(tf.cast(x, tf.complex64))


@_own
class Sparse(layers.Layer):  # type: ignore[misc]
    """A sparse matrix with few entries, times the input."""

    def call(self, x: Any) -> Any:
        matrix = tf.SparseTensor([[0, 1], [1, 3], [2, 0], [4, 2]], [0.5, -1.0, 2.0, 0.25], (5, 4))
        return tf.transpose(tf.sparse.sparse_dense_matmul(matrix, tf.transpose(x)))


@_own
class Ragged(layers.Layer):  # type: ignore[misc]
    """Each row without what is negative: its mean and its length, over a ragged tensor."""

    def call(self, x: Any) -> Any:
        kept = tf.ragged.boolean_mask(x, x > 0)
        return {"mean": tf.reduce_sum(kept, axis=1), "length": tf.cast(kept.row_lengths(), tf.int32)}


@_own
class Ordering(layers.Layer):  # type: ignore[misc]
    """Integers that come of comparing: a wrong one is wholly wrong."""

    def call(self, x: Any) -> Any:
        values, places = tf.math.top_k(x, 3)
        return {
            "top": values,
            "top_places": places,
            "best": tf.argmax(x, axis=-1),
            "least": tf.argmin(x, axis=-1, output_type=tf.int32),
            "sorted": tf.sort(x, direction="DESCENDING"),
            "order": tf.argsort(x, stable=True),
        }


@_own
class Distinct(layers.Layer):  # type: ignore[misc]
    """How often the first value of each row stands in the whole batch's first row: through tf.unique."""

    def call(self, x: Any) -> Any:
        _, places, counts = tf.unique_with_counts(tf.constant([3, 1, 3, 2, 1, 3]))
        return x[:, :1] * tf.cast(tf.gather(counts, places), tf.float32)


@_own
class Indexing(layers.Layer):  # type: ignore[misc]
    """Gathering and scattering, running sums, segments."""

    def call(self, x: Any) -> Any:
        picked = tf.gather(x, [3, 0, 0, 5], axis=1)
        spread = tf.tensor_scatter_nd_add(tf.zeros((4, tf.shape(x)[0])), [[1], [3], [1], [0]], tf.transpose(picked))
        return {
            "picked": picked,
            "spread": tf.transpose(spread),
            "running": tf.cumsum(x, axis=1, exclusive=True, reverse=True),
            "product": tf.math.cumprod(x, axis=1),
            "segments": tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(x), [0, 1, 1, 0, 2, 2], 3)),
            "one_hot": tf.one_hot(tf.cast(tf.abs(x[:, 0]) * 2, tf.int32), 4),
            "clipped": tf.clip_by_value(x, -0.5, 0.5),
            "rolled": tf.roll(x, 2, axis=1),
            "reversed": tf.reverse(x, [1]),
        }


@_own
class Functions(layers.Layer):  # type: ignore[misc]
    """Elementary and special functions."""

    def call(self, x: Any) -> Any:
        positive = tf.abs(x) + 0.1
        small = tf.tanh(x)
        return {
            "roots": tf.sqrt(positive) + tf.math.rsqrt(positive) + tf.math.reciprocal(positive),
            "logs": tf.math.log(positive) + tf.math.log1p(positive) + tf.math.expm1(small) + tf.exp(small),
            "angles": tf.sin(x) + tf.cos(x) + tf.atan(x) + tf.atan2(x, positive),
            "arcs": tf.asin(small * 0.9) + tf.acos(small * 0.9) + tf.math.atanh(small * 0.9),
            "hyperbolic": tf.sinh(small) + tf.cosh(small) + tf.math.asinh(x) + tf.math.acosh(positive + 1),
            "error": tf.math.erf(x),
            "tangent": tf.tan(small),
            "power": positive**x + tf.math.squared_difference(x, small),
            "rounded": tf.floor(x) + tf.math.ceil(x * 2) + tf.round(x * 3) + tf.sign(x),
            "modulo": tf.math.floormod(x, 0.7) + tf.math.floordiv(x, 0.7),
            "gamma": tf.math.lgamma(positive + 1),
        }


@_own
class Linear(layers.Layer):  # type: ignore[misc]
    """Linear algebra."""

    def call(self, x: Any) -> Any:
        square = tf.matmul(x, x, transpose_a=True) + tf.eye(3)
        return {
            "inverse": tf.linalg.inv(square),
            "determinant": tf.linalg.det(square),
            "triangle": tf.linalg.cholesky(square),
            "band": tf.linalg.band_part(square, 0, 1),
            "diagonal": tf.linalg.diag_part(square),
            "solved": tf.linalg.solve(square, tf.ones_like(square[:, :, :1])),
        }


@_own
class Logarithm(layers.Layer):  # type: ignore[misc]
    """NaN for what is negative, minus infinity for zero."""

    def call(self, x: Any) -> Any:
        return {"log": tf.math.log(x), "ratio": x / tf.abs(x)}


@_own
class Checked(layers.Layer):  # type: ignore[misc]
    """Assertions and checks, as careful authors leave them in."""

    def call(self, x: Any) -> Any:
        tf.debugging.assert_less(tf.reduce_max(tf.abs(x)), 1e6, message="inputs far too large")
        return tf.debugging.check_numerics(tf.identity(x) * 2, "not a number")


@_own
class Chance(layers.Layer):  # type: ignore[misc]
    """Noise that is drawn at every call."""

    def call(self, x: Any) -> Any:
        return x + tf.random.normal(tf.shape(x), stddev=0.5)


@_own
class AlwaysDropping(layers.Dropout):  # type: ignore[misc]
    """Monte-Carlo dropout: on at inference, too."""

    def call(self, x: Any, training: Any = None) -> Any:
        del training
        return super().call(x, training=True)


def _through(layer: Any, *shape: int) -> Any:
    def build() -> keras.Model:
        x = keras.Input(shape, name="x")
        y = layer()(x)
        return keras.Model(x, y if isinstance(y, dict) else {"y": y})

    return build


def _scaled(factor: float) -> Any:
    """A net whose numbers are large or small inside and at its end."""

    def build() -> keras.Model:
        x = keras.Input((6,), name="x")
        hidden = layers.Rescaling(factor)(layers.Dense(8, activation="relu")(x))
        return keras.Model(x, {"y": layers.Dense(3)(hidden), "back": layers.Rescaling(1 / factor)(hidden)})

    return build


def _large_weights() -> keras.Model:
    """Weights beyond the largest half float, 65,504."""
    x = keras.Input((6,), name="x")
    spread = keras.initializers.RandomNormal(stddev=2e5, seed=1)
    hidden = layers.Dense(8, activation="relu", kernel_initializer=spread)(x)
    return keras.Model(x, {"y": layers.Dense(3)(layers.Rescaling(1e-5)(hidden))})


def _with_nan(random: np.random.Generator) -> Tensors:
    x = evenly(random, (SAMPLES, 6))
    x[3, 2], x[5, 0], x[8, 1], x[9, 4] = np.nan, np.inf, -np.inf, 0
    return {"x": x}


def _dense() -> keras.Model:
    x = keras.Input((6,), name="x")
    return keras.Model(x, {"y": layers.Dense(3)(x), "positive": layers.Activation("relu")(x)})


def _dropping() -> keras.Model:
    x = keras.Input((6,), name="x")
    return keras.Model(x, {"y": layers.Dense(3)(AlwaysDropping(0.5)(x))})


def _one_of_nothing(random: np.random.Generator) -> Tensors:
    x = evenly(random, (SAMPLES, 6))
    x[0] = -np.abs(x[0])
    return {"x": x}


def _entry(name: str, hard_for: str, build: Any, samples: Any = None) -> CorpusModel:
    return CorpusModel(
        name=name,
        hard_for=hard_for,
        write=keras_file(build),
        samples=uniform((6,)) if samples is None else samples,
        code=_MODULE,
    )


MODELS = (
    _entry("fft", "complex numbers inside: a spectrum and back", _through(Spectrum, 16), uniform((16,))),
    _entry("complex-output", "complex numbers out", _through(Complex, 8), uniform((8,))),
    _entry("sparse-inside", "a sparse matrix inside", _through(Sparse, 4), uniform((4,))),
    _entry("ragged-inside", "a ragged tensor inside, and a row of nothing", _through(Ragged, 6), _one_of_nothing),
    _entry("ordering", "top-k, argmax, sort: integers out", _through(Ordering, 6)),
    _entry("unique-inside", "tf.unique inside", _through(Distinct, 6)),
    _entry("indexing", "gather, scatter, running sums, segments", _through(Indexing, 6)),
    _entry("functions", "elementary and special functions", _through(Functions, 6)),
    _entry("linear-algebra", "inverse, determinant, Cholesky", _through(Linear, 3, 3), uniform((3, 3))),
    _entry("huge", "values up to 1e30", _scaled(1e30)),
    _entry("tiny", "values down to 1e-30", _scaled(1e-30)),
    _entry("large-weights", "weights that no half float holds", _large_weights),
    _entry("nan-output", "NaN and infinities that the model itself makes", _through(Logarithm, 6)),
    _entry("nan-input", "NaN and infinities among the samples", _dense, _with_nan),
    _entry("assertions", "Assert and CheckNumerics in the graph", _through(Checked, 6)),
    _entry("random-noise", "random by design: noise at every call", _through(Chance, 6)),
    _entry("random-dropout", "random by design: dropout left on", _dropping),
)
