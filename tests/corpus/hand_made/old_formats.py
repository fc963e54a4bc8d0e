"""Models as other tools and other years saved them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tests.corpus.corpus_model import SAVED_MODEL, CorpusModel, keras_file, uniform


def _tf1(folder: Path) -> Path:
    """A graph with placeholders and variables, saved by simple_save as in 2018."""
    v1 = tf.compat.v1
    path = folder / SAVED_MODEL
    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 4), name="features")
        kernel = v1.get_variable("kernel", initializer=weights, use_resource=False)
        scores = tf.matmul(x, kernel, name="scores")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"scores": scores, "best": tf.argmax(scores, 1)})
    return path


def _module(folder: Path) -> Path:
    """TensorFlow without Keras: a tf.Module with two signatures, one of them with two outputs."""

    class Affine(tf.Module):  # type: ignore[misc]  # TensorFlow ships no types
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(tf.random.stateless_normal((4, 3), seed=(1, 2)))
            self.table = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer([0, 1, 2], [10, 20, 30], tf.int32, tf.int32), -1
            )

        @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def scores(self, x: Any) -> dict[str, Any]:
            return {"scores": x @ self.kernel}

        @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def both(self, x: Any) -> dict[str, Any]:
            scores = x @ self.kernel
            return {"scores": tf.nn.softmax(scores), "norm": tf.norm(scores, axis=1)}

    module = Affine()
    path = folder / SAVED_MODEL
    tf.saved_model.save(module, str(path), signatures={"scores": module.scores, "both": module.both})
    return path


def _keras2(build: Any, file: str) -> Any:
    """Saved by tf-keras, which is Keras 2."""

    def write(folder: Path) -> Path:
        import tf_keras

        tf_keras.utils.set_random_seed(0)
        path = folder / file
        build(tf_keras).save(path)
        return path

    return write


def _keras2_net(tf_keras: Any) -> Any:
    x = tf_keras.Input((8, 8, 2), name="x")
    hidden = tf_keras.layers.Conv2D(4, 3, activation="relu")(x)
    hidden = tf_keras.layers.BatchNormalization()(hidden)
    hidden = tf_keras.layers.GlobalAveragePooling2D()(hidden + tf_keras.layers.Conv2D(4, 1)(hidden))
    return tf_keras.Model(x, tf_keras.layers.Dense(3, name="y")(hidden))


def _keras2_sequence(tf_keras: Any) -> Any:
    return tf_keras.Sequential(
        [
            tf_keras.layers.LSTM(4, input_shape=(5, 3), return_sequences=True),
            tf_keras.layers.TimeDistributed(tf_keras.layers.Dense(2)),
            tf_keras.layers.Flatten(),
        ]
    )


def _lambda() -> keras.Model:
    x = keras.Input((4,), name="x")
    return keras.Model(x, layers.Dense(3, name="y")(layers.Lambda(lambda t: t * t + 1, output_shape=(4,))(x)))


def _awkward() -> keras.Model:
    """Names as people give them."""
    size = keras.Input((3,), name="Größe")
    weight = keras.Input((3,), name="weight (kg)")
    joined = layers.Concatenate(name="été")([size, weight])
    outputs = [layers.Dense(2, name="class")(joined), layers.Dense(2, name="weights-1.5")(joined)]
    return keras.Model([size, weight], outputs)


def _unnamed() -> keras.Model:
    """Nobody named anything: two inputs that Keras numbered."""
    a, b = keras.Input((3,)), keras.Input((3,))
    return keras.Model([a, b], layers.Dense(2)(layers.Multiply()([a, b])))


MODELS = (
    CorpusModel(
        name="tf1-saved-model",
        hard_for="a TensorFlow 1 graph with reference variables",
        write=_tf1,
        samples=uniform((4,)),
    ),
    CorpusModel(
        name="tf-module",
        hard_for="a tf.Module with several signatures and no serving_default",
        write=_module,
        samples=uniform((4,)),
        signature="both",
    ),
    CorpusModel(
        name="keras2-h5",
        hard_for="a Keras 2 .h5 with an operation for a layer",
        write=_keras2(_keras2_net, "model.h5"),
        samples=uniform((8, 8, 2)),
    ),
    CorpusModel(
        name="keras2-lstm-h5",
        hard_for="a Keras 2 .h5 with an LSTM, whose input nobody named",
        write=_keras2(_keras2_sequence, "model.h5"),
        samples=uniform((5, 3), names=("lstm_input",)),
    ),
    CorpusModel(
        name="keras2-saved-model",
        hard_for="a SavedModel by Keras 2",
        write=_keras2(_keras2_net, SAVED_MODEL),
        samples=uniform((8, 8, 2)),
    ),
    CorpusModel(
        name="lambda",
        hard_for="a Lambda layer, which is code in a file",
        write=keras_file(_lambda),
        samples=uniform((4,)),
        trust=True,
    ),
    CorpusModel(
        name="awkward-names",
        # The samples use the names that the signature gives them.
        hard_for="names that are not ASCII, have blanks, dashes and dots",
        write=keras_file(_awkward),
        samples=uniform((3,), (3,), names=("Gr__e", "weight__kg_")),
    ),
    CorpusModel(
        name="unnamed",
        hard_for="inputs that nobody named",
        write=keras_file(_unnamed),
        samples=uniform((3,), (3,), names=("input_layer", "input_layer_1")),
    ),
)
