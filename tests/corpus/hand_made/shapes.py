"""Ranks from 0 to 5 a sample, sizes that vary, and tensors that hold nothing."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pipeline.core.signature import Tensors
from tests.corpus.corpus_model import SAMPLES, CorpusModel, evenly, keras_file, uniform

_MODULE = "tests.corpus.hand_made.shapes"


@keras.saving.register_keras_serializable(package="corpus")
class WithNothing(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Joins the input with a slice of no columns, and reduces that slice."""

    def call(self, x: Any) -> Any:
        nothing = x[:, 2:2]
        return tf.concat([x, nothing], axis=1) + tf.reduce_sum(nothing, axis=1, keepdims=True)


@keras.saving.register_keras_serializable(package="corpus")
class Folded(layers.Layer):  # type: ignore[misc]
    """Every step of every sequence as a row of its own, and back."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.dense = layers.Dense(4)

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.dense.build((None, shape[-1]))

    def call(self, x: Any) -> Any:
        size = tf.shape(x)
        return tf.reshape(self.dense(tf.reshape(x, (-1, 6))), (size[0], size[1], 4))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape[:-1], 4)


def _scalars() -> keras.Model:
    """Two numbers a sample in, without any dimension of their own, and one out."""
    a, b = keras.Input((), name="a"), keras.Input((), name="b")
    return keras.Model([a, b], {"sum": layers.Add()([a, b]), "product": layers.Multiply()([a, b])})


def _every_rank() -> keras.Model:
    inputs = {f"rank{rank}": keras.Input((2,) * (rank - 1), name=f"rank{rank}") for rank in range(1, 6)}
    outputs = {f"doubled{rank}": layers.Rescaling(2.0, offset=rank)(x) for rank, x in enumerate(inputs.values(), 1)}
    return keras.Model(inputs, outputs)


def _any_size() -> keras.Model:
    x = keras.Input((None, None, 3), name="image")
    hidden = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    upwards = layers.Conv2DTranspose(2, 3, strides=2, padding="same", name="map")(hidden)
    return keras.Model(x, {"map": upwards, "scores": layers.Dense(3)(layers.GlobalAveragePooling2D()(hidden))})


def _nothing() -> keras.Model:
    x = keras.Input((4,), name="x")
    return keras.Model(x, layers.Dense(3, name="y")(WithNothing()(x)))


def _fixed_batch() -> keras.Model:
    x = keras.Input(batch_shape=(4, 5), name="x")
    return keras.Model(x, layers.Dense(3, name="y")(x))


def _reshaped() -> keras.Model:
    """Two sizes unknown at once, a permutation, and a batch that is folded into rows and unfolded again."""
    x = keras.Input((None, 6), name="x")
    return keras.Model(x, {"y": layers.Permute((2, 1))(Folded()(x))})


def _ranks(random: np.random.Generator) -> Tensors:
    return {f"rank{rank}": evenly(random, (SAMPLES, *(2,) * (rank - 1))) for rank in range(1, 6)}


MODELS = (
    CorpusModel(
        name="scalars",
        hard_for="inputs and outputs that are one number a sample",
        write=keras_file(_scalars),
        samples=uniform((), (), names=("a", "b")),
    ),
    CorpusModel(
        name="every-rank",
        hard_for="inputs and outputs of every rank from 1 to 5, in dictionaries",
        write=keras_file(_every_rank),
        samples=_ranks,
    ),
    CorpusModel(
        name="any-size",
        hard_for="images of any size, with an output of that size",
        write=keras_file(_any_size),
        samples=uniform((12, 8, 3), names=("image",)),
    ),
    CorpusModel(
        name="nothing-inside",
        hard_for="a tensor without a single value inside",
        write=keras_file(_nothing),
        samples=uniform((4,)),
        code=_MODULE,
    ),
    CorpusModel(
        name="fixed-batch",
        hard_for="a batch size that is fixed at 4",
        write=keras_file(_fixed_batch),
        samples=uniform((5,)),
    ),
    CorpusModel(
        name="folded-batch",
        hard_for="a batch that is folded into its sequences and back",
        write=keras_file(_reshaped),
        samples=uniform((5, 6)),
        code=_MODULE,
    ),
)
