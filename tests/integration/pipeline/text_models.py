"""Classifiers that begin with text, one of them trained for a moment on sentences that Python ships."""

from __future__ import annotations

import pydoc_data.topics
import re
from pathlib import Path

import numpy as np

OTHERS = '''
import keras
from keras import layers


class Doubling(keras.Model):
    """A graph, and a call that does more than the graph says."""

    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs, training=training, mask=mask)


def more_than_its_layers():
    x = keras.Input((4,), name="x")
    first = layers.Dense(3, name="first")(x)
    return Doubling(x, layers.Dense(2, name="second")(first))


class Noise(layers.Layer):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x), seed=self.seeds)


def half_random():
    x = keras.Input((4,), name="x")
    hidden = layers.Dense(3, name="hidden")(x)
    return keras.Model(x, {"noise": Noise(name="noise")(hidden), "plain": layers.Dense(2, name="plain")(hidden)})


class Unsaved(layers.Layer):
    """Saved once, by somebody with other code: its settings do not come out again."""

    def call(self, x):
        return x * 2.0

    def get_config(self):
        raise NotImplementedError("no settings")

    @classmethod
    def from_config(cls, config):
        return cls()


def subclassed():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2, name="dense")

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(keras.ops.zeros((2, 5)))
    return model


def sequential():
    return keras.Sequential(
        [
            keras.Input((), dtype="string", name="words"),
            layers.TextVectorization(vocabulary=["the", "of", "a", "is"], output_mode="multi_hot", name="bag"),
            layers.Dense(3, name="hidden"),
            layers.Dense(2, activation="softmax", name="scores"),
        ]
    )


def any_length():
    text = keras.Input((), dtype="string", name="text")
    ids = layers.TextVectorization(vocabulary=["the", "of", "a", "is"], name="vectorize")(text)
    mean = layers.GlobalAveragePooling1D(name="mean")(layers.Embedding(6, 4, mask_zero=True, name="words")(ids))
    return keras.Model(text, layers.Dense(2, name="scores")(mean))


def of_tf_keras():
    import tf_keras

    text = tf_keras.Input((), dtype="string", name="text")
    ids = tf_keras.layers.TextVectorization(
        vocabulary=["the", "of", "a", "is"], output_sequence_length=8, name="vectorize"
    )(text)
    words = tf_keras.layers.Embedding(6, 4, mask_zero=True, name="words")(ids)
    mean = tf_keras.layers.GlobalAveragePooling1D(name="mean")(words)
    return tf_keras.Model(text, tf_keras.layers.Dense(2, name="scores")(mean))
'''


def sentences() -> list[str]:
    """Some 600 sentences of Python's own manual."""
    manual = " ".join(" ".join(pydoc_data.topics.topics.values()).split())
    return [found for found in re.split(r"(?<=[.!?])\s+", manual) if 30 < len(found) < 160][:600]


def write_unsaved(folder: Path) -> None:
    """`unsaved.keras`, whose layer `others:Unsaved` loads, but cannot be saved again."""
    import importlib

    import keras

    others = importlib.import_module("others")
    x = keras.Input((4,), name="x")
    first = keras.layers.Dense(3, name="first")(x)
    kept = others.Unsaved.get_config
    others.Unsaved.get_config = lambda layer: {"name": layer.name}
    try:
        keras.Model(x, others.Unsaved(name="unsaved")(first)).save(folder / "unsaved.keras")
    finally:
        others.Unsaved.get_config = kept


def write_text_models(folder: Path) -> None:
    """`reviews.keras`: text and two numbers, which class the sentence is of; samples of it in `sentences.npz`."""
    import keras
    import tensorflow as tf
    from keras import layers

    (folder / "others.py").write_text(OTHERS)
    texts = np.array([*sentences(), "Łódź, Großvater & ÉCOLE: 東京!"])
    sizes = np.array([[len(text), text.count(",")] for text in texts], np.float32)
    asks = np.array(["exception" in text.lower() or "class" in text.lower() for text in texts], np.int64)
    keras.utils.set_random_seed(0)
    vectorize = layers.TextVectorization(max_tokens=400, output_sequence_length=16, name="vectorize")
    vectorize.adapt(texts)
    text = keras.Input((), dtype="string", name="text")
    size = keras.Input((2,), name="size")
    scale = layers.Normalization(name="scale")
    scale.adapt(sizes)
    words = layers.Embedding(400, 8, mask_zero=True, name="words")(vectorize(text))
    joined = layers.Concatenate(name="joined")([layers.GlobalAveragePooling1D(name="mean")(words), scale(size)])
    kind = layers.Dense(2, activation="softmax", name="kind")(layers.Dense(8, activation="relu", name="hidden")(joined))
    model = keras.Model({"text": text, "size": size}, {"kind": kind}, name="reviews")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit({"text": tf.constant(texts), "size": tf.constant(sizes)}, {"kind": asks}, epochs=3, verbose=0)
    model.save(folder / "reviews.keras")
    model.export(folder / "exported", verbose=False)
    np.savez(folder / "sentences.npz", text=texts, size=sizes, labels=asks)
