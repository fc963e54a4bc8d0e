"""Layers by kind: convolutions, normalizations, attention, activations, images."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pipeline.core.signature import Tensors
from tests.corpus.corpus_model import SAMPLES, CorpusModel, keras_file, uniform

_MODULE = "tests.corpus.hand_made.layer_kinds"


@keras.saving.register_keras_serializable(package="corpus")
class Picture(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """What tf.image offers to a graph, one after the other."""

    def call(self, x: Any) -> Any:
        grey = tf.image.rgb_to_grayscale(tf.image.adjust_contrast(x, 1.5))
        small = tf.image.resize(x, (5, 7))
        nearest = tf.image.resize(x, (11, 6), method="nearest")
        cut = tf.image.crop_to_bounding_box(tf.image.flip_left_right(x), 1, 2, 4, 4)
        parts = [grey, small, nearest, cut, tf.image.adjust_saturation(tf.sigmoid(x), 0.5)]
        return tf.concat([tf.reshape(part, (tf.shape(x)[0], -1)) for part in parts], axis=1)


@keras.saving.register_keras_serializable(package="corpus")
class Summed(layers.Layer):  # type: ignore[misc]
    """Einsum in a form that is no plain matrix product."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 2, 3), name="kernel")

    def call(self, x: Any) -> Any:
        return tf.einsum("btc,chd,bsc->bhtsd", x, self.kernel, x)


def _convolutions() -> keras.Model:
    x = keras.Input((12, 10, 4), name="x")
    outputs = [
        layers.Conv2D(4, 3, strides=2, groups=2, padding="same")(x),
        layers.Conv2D(3, 3, dilation_rate=2)(x),
        layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x),
        layers.SeparableConv2D(5, (3, 2))(x),
        layers.Conv2DTranspose(3, 3, strides=2, padding="same")(x),
        layers.UpSampling2D(2, interpolation="bilinear")(x),
        layers.MaxPooling2D(3, strides=2, padding="same")(x),
        layers.Cropping2D(1)(layers.ZeroPadding2D(((1, 0), (2, 1)))(x)),
    ]
    joined = layers.Concatenate()([layers.GlobalAveragePooling2D()(y) for y in outputs])
    return keras.Model(x, {"y": layers.Dense(6)(joined), "up": outputs[4]})


def _one_dimension() -> keras.Model:
    x = keras.Input((16, 3), name="x")
    causal = layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")(x)
    separable = layers.SeparableConv1D(4, 3, padding="same")(causal)
    depthwise = layers.DepthwiseConv1D(3, padding="same")(separable)
    wide = layers.Conv1DTranspose(2, 4, strides=2)(layers.AveragePooling1D(2)(depthwise))
    return keras.Model(
        x, {"y": layers.Flatten()(layers.UpSampling1D(2)(wide)), "peak": layers.GlobalMaxPooling1D()(wide)}
    )


def _three_dimensions() -> keras.Model:
    x = keras.Input((6, 6, 6, 2), name="x")
    hidden = layers.Conv3D(4, 3, activation="relu")(x)
    pooled = layers.MaxPooling3D(2)(hidden)
    return keras.Model(
        x, {"y": layers.Dense(3)(layers.Flatten()(pooled)), "mean": layers.GlobalAveragePooling3D()(hidden)}
    )


def _three_dimensions_up() -> keras.Model:
    x = keras.Input((3, 3, 3, 2), name="x")
    return keras.Model(x, {"y": layers.Conv3DTranspose(2, 3, strides=2)(x)})


def _norms() -> keras.Model:
    x = keras.Input((6, 6, 4), name="x")
    batch = layers.BatchNormalization(
        moving_mean_initializer=keras.initializers.RandomNormal(seed=1),
        moving_variance_initializer=keras.initializers.RandomUniform(0.5, 2.0, seed=2),
    )
    return keras.Model(
        x,
        {
            "batch": batch(x),
            "layer": layers.LayerNormalization()(x),
            "over_all": layers.LayerNormalization(axis=(1, 2, 3))(x),
            "group": layers.GroupNormalization(2)(x),
            "rms": layers.RMSNormalization()(x),
            "unit": layers.UnitNormalization()(x),
        },
    )


def _attention() -> keras.Model:
    x, memory = keras.Input((5, 6), name="x"), keras.Input((7, 6), name="memory")
    heads, scores = layers.MultiHeadAttention(2, 3)(x, memory, return_attention_scores=True)
    grouped = layers.GroupQueryAttention(4, 4, 2)(x, memory)
    causal = layers.MultiHeadAttention(2, 3)(heads, heads, use_causal_mask=True)
    plain = layers.Attention()([causal, memory])
    additive = layers.AdditiveAttention()([grouped, memory])
    return keras.Model([x, memory], {"y": layers.Add()([plain, additive]), "scores": scores})


def _masked_attention() -> keras.Model:
    """A causal mask, as layers with and without dropout write it, and one that is added by hand."""
    x = keras.Input((6, 8), name="x")
    wide = layers.Dense(8, kernel_initializer="orthogonal")(x)
    chosen = layers.MultiHeadAttention(2, 4)(wide, wide, use_causal_mask=True)
    dropped = layers.MultiHeadAttention(2, 4, dropout=0.1)(wide, wide, use_causal_mask=True)
    hidden = 1 - keras.ops.cast(x[:, None, :, 0] > -1, "float32")
    scores = keras.ops.matmul(wide, keras.ops.transpose(wide, (0, 2, 1))) + hidden * -1e9
    summed = keras.ops.matmul(keras.ops.softmax(scores), wide)
    means = {"chosen": chosen, "dropped": dropped, "summed": summed}
    return keras.Model(x, {name: keras.ops.tanh(keras.ops.mean(each, axis=1)) for name, each in means.items()})


def _one_channel() -> keras.Model:
    """The block of Keras's example of a transformer for time series, whose normalization is over one channel."""
    x = keras.Input((24, 1), name="x")
    attended = layers.LayerNormalization(epsilon=1e-6)(layers.MultiHeadAttention(2, 8, dropout=0.2)(x, x)) + x
    narrow = layers.Conv1D(1, 1)(layers.Conv1D(4, 1, activation="relu")(attended))
    hidden = layers.LayerNormalization(epsilon=1e-6)(narrow) + attended
    return keras.Model(x, {"y": layers.Dense(3)(layers.GlobalAveragePooling1D("channels_first")(hidden))})


def _activations() -> keras.Model:
    x = keras.Input((12,), name="x")
    names = (
        *("elu", "selu", "gelu", "silu", "mish", "softplus", "softsign", "hard_sigmoid", "hard_silu", "relu6"),
        *("leaky_relu", "log_softmax", "tanh", "exponential", "celu", "hard_tanh", "log_sigmoid", "sparse_plus"),
    )
    outputs = {name: layers.Activation(name)(x) for name in names}
    return keras.Model(
        x, outputs | {"prelu": layers.PReLU(alpha_initializer="glorot_uniform")(layers.Reshape((12, 1))(x))}
    )


def _embedded() -> keras.Model:
    word, place = keras.Input((5,), dtype="int32", name="word"), keras.Input((), dtype="int64", name="place")
    near = layers.Embedding(20, 4)(word)
    far = layers.RepeatVector(5)(layers.Embedding(7, 4)(place))
    return keras.Model([word, place], {"y": layers.Dense(3)(layers.Flatten()(layers.Add()([near, far])))})


def _words(random: np.random.Generator) -> Tensors:
    return {
        "word": random.integers(0, 20, (SAMPLES, 5)).astype(np.int32),
        "place": random.integers(0, 7, SAMPLES).astype(np.int64),
    }


def _picture() -> keras.Model:
    x = keras.Input((8, 8, 3), name="x")
    return keras.Model(x, {"y": Picture()(x), "resized": layers.Resizing(4, 4, crop_to_aspect_ratio=True)(x)})


def _summed() -> keras.Model:
    x = keras.Input((4, 5), name="x")
    dense = layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de")(x)
    return keras.Model(x, {"y": Summed()(x), "dense": dense})


def _augmented() -> keras.Model:
    """Layers that are random in training and silent at inference."""
    x = keras.Input((8, 8, 3), name="x")
    hidden = layers.RandomFlip()(layers.RandomRotation(0.1)(layers.GaussianNoise(0.1)(x)))
    hidden = layers.SpatialDropout2D(0.2)(layers.Conv2D(4, 3)(layers.RandomContrast(0.2)(hidden)))
    return keras.Model(x, layers.Dense(3, name="y")(layers.Flatten()(hidden)))


def _entry(name: str, hard_for: str, build: Any, samples: Any, *, own: bool = False) -> CorpusModel:
    return CorpusModel(
        name=name,
        hard_for=hard_for,
        write=keras_file(build),
        samples=samples,
        code=_MODULE if own else None,
    )


MODELS = (
    _entry("convolutions", "grouped, dilated, depthwise, separable, transposed", _convolutions, uniform((12, 10, 4))),
    _entry("one-dimension", "causal, separable and transposed Conv1D", _one_dimension, uniform((16, 3))),
    _entry("three-dimensions", "Conv3D and its pooling", _three_dimensions, uniform((6, 6, 6, 2))),
    _entry("three-dimensions-up", "Conv3DTranspose", _three_dimensions_up, uniform((3, 3, 3, 2))),
    _entry("normalizations", "batch, layer, group, RMS and unit normalization", _norms, uniform((6, 6, 4))),
    _entry("attention", "attention of five kinds", _attention, uniform((5, 6), (7, 6), names=("x", "memory"))),
    _entry("masked-attention", "masks of -1e9 and -2e38 over scores, in integers", _masked_attention, uniform((6, 8))),
    _entry("one-channel", "a transformer's normalization of a single channel", _one_channel, uniform((24, 1))),
    _entry("activations", "19 activations", _activations, uniform((12,))),
    _entry("embeddings", "embeddings by 32-bit and 64-bit integers", _embedded, _words),
    _entry("tf-image", "tf.image: resizing, cropping, colours", _picture, uniform((8, 8, 3)), own=True),
    _entry("einsum", "einsum beyond a matrix product, and EinsumDense", _summed, uniform((4, 5)), own=True),
    _entry("augmentation", "layers that are random in training only", _augmented, uniform((8, 8, 3))),
)
