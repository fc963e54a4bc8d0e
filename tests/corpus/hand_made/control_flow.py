"""Branches and loops inside the graph: tf.cond, tf.while_loop, tf.map_fn."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from tests.corpus.corpus_model import CorpusModel, keras_file, uniform

_MODULE = "tests.corpus.hand_made.control_flow"


@keras.saving.register_keras_serializable(package="corpus")
class Guarded(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Scales huge inputs down first: a branch that the samples do not take, and one that they do."""

    def call(self, x: Any) -> Any:
        return tf.cond(tf.reduce_max(tf.abs(x)) < 1e6, lambda: tf.sin(x) + x, lambda: x / 1e6)


@keras.saving.register_keras_serializable(package="corpus")
class Chosen(layers.Layer):  # type: ignore[misc]
    """A branch whose both sides are constants, taken for all samples alike."""

    def call(self, x: Any) -> Any:
        large = tf.reduce_max(tf.abs(x)) > 1e6
        return x * tf.cond(large, lambda: tf.constant(2.0), lambda: tf.constant(-3.0)) + tf.cond(
            large, lambda: tf.constant([[1.0, 0.5, 0.0, -1.0]]), lambda: tf.zeros((1, 4)) + 0.25
        )


@keras.saving.register_keras_serializable(package="corpus")
class SquareRoot(layers.Layer):  # type: ignore[misc]
    """Newton's method for each value until all have settled; a settled one is left alone."""

    def call(self, x: Any) -> Any:
        target = tf.abs(x) + 0.5

        def unsettled(guess: Any) -> Any:
            return tf.abs(guess * guess - target) > 1e-4 * target

        def step(guess: Any) -> Any:
            return tf.where(unsettled(guess), 0.5 * (guess + target / guess), guess)

        return tf.while_loop(
            lambda guess: tf.reduce_any(unsettled(guess)),
            lambda guess: (step(guess),),
            (tf.ones_like(target),),
            # Quantized values may never settle.
            maximum_iterations=30,
        )[0]


@keras.saving.register_keras_serializable(package="corpus")
class RowByRow(layers.Layer):  # type: ignore[misc]
    """A branch for each sample by itself, through tf.map_fn."""

    def call(self, x: Any) -> Any:
        return tf.map_fn(lambda row: tf.cond(tf.reduce_sum(row) > 0, lambda: tf.sort(row), lambda: -tf.cumsum(row)), x)


@keras.saving.register_keras_serializable(package="corpus")
class Recurrence(layers.Layer):  # type: ignore[misc]
    """A loop of a fixed number of steps that writes into a TensorArray."""

    def call(self, x: Any) -> Any:
        array = tf.TensorArray(tf.float32, size=5, element_shape=(None, 4))

        def step(index: Any, state: Any, array: Any) -> tuple[Any, Any, Any]:
            state = tf.tanh(state + tf.roll(state, 1, axis=-1) * 0.5)
            return index + 1, state, array.write(index, state)

        _, _, array = tf.while_loop(lambda index, *_: index < 5, step, (0, x, array))
        return tf.transpose(array.stack(), (1, 0, 2))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], 5, 4)


def _around(layer: layers.Layer) -> keras.Model:
    x = keras.Input((4,), name="x")
    return keras.Model(x, layers.Dense(3, name="y")(layers.Flatten()(layer(layers.Dense(4)(x)))))


MODELS = (
    CorpusModel(
        name="cond",
        hard_for="a branch on the data, both sides in the graph",
        write=keras_file(lambda: _around(Guarded())),
        samples=uniform((4,)),
        code=_MODULE,
    ),
    CorpusModel(
        name="cond-constants",
        hard_for="a branch between two constants",
        write=keras_file(lambda: _around(Chosen())),
        samples=uniform((4,)),
        code=_MODULE,
    ),
    CorpusModel(
        name="while-loop",
        hard_for="a loop whose number of steps depends on the data",
        write=keras_file(lambda: _around(SquareRoot())),
        samples=uniform((4,)),
        code=_MODULE,
    ),
    CorpusModel(
        name="map-fn",
        hard_for="tf.map_fn with a branch for each sample",
        write=keras_file(lambda: _around(RowByRow())),
        samples=uniform((4,)),
        code=_MODULE,
    ),
    CorpusModel(
        name="tensor-array",
        hard_for="a loop that collects a sequence in a TensorArray",
        write=keras_file(lambda: _around(Recurrence())),
        samples=uniform((4,)),
        code=_MODULE,
    ),
)
