"""How models are put together: nested and shared submodels, nested outputs, outputs that are inputs or constants."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from tests.corpus.corpus_model import CorpusModel, keras_file, uniform

_MODULE = "tests.corpus.hand_made.structure"


@keras.saving.register_keras_serializable(package="corpus")
class Subclassed(keras.Model):  # type: ignore[misc]  # Keras ships no types
    """A model that is a class, called with a dictionary."""

    def __init__(self, units: int = 5, **settings: Any) -> None:
        super().__init__(**settings)
        self.units = units
        self.left, self.right = layers.Dense(units, activation="relu"), layers.Dense(units)
        self.out = layers.Dense(2)

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        hidden = self.left(inputs["a"]) * self.right(inputs["b"])
        return {"y": self.out(hidden), "hidden": hidden}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="corpus")
class Constant(layers.Layer):  # type: ignore[misc]
    """The same row for every sample: a weight that is an output."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        del shape
        self.row = self.add_weight(shape=(3,), initializer="ones", name="row")

    def call(self, x: Any) -> Any:
        return keras.ops.zeros_like(x[:, :1]) + self.row


def _encoder() -> keras.Model:
    x = keras.Input((4,), name="encoded")
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="relu"), layers.Dense(3)], name="inner")
    return keras.Model(x, inner(x), name="encoder")


def _nested_and_shared() -> keras.Model:
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    encoder, bend = _encoder(), layers.Dense(3, activation="tanh")
    one, other = bend(encoder(left)), bend(encoder(right))
    distance = layers.Dot(axes=1, normalize=True)([one, other])
    return keras.Model([left, right], [distance, layers.Subtract()([one, other])])


def _nested_outputs() -> keras.Model:
    x = keras.Input((4,), name="x")
    heads = [layers.Dense(size, name=f"head{size}")(x) for size in (1, 2, 3)]
    return keras.Model(x, {"first": heads[0], "others": [heads[1], {"deep": heads[2]}]})


def _list_of_same_shape() -> keras.Model:
    x = keras.Input((4,), name="x")
    return keras.Model(x, [layers.Dense(3, name=name)(x) for name in ("zebra", "ape", "yak", "bee")])


def _input_as_output() -> keras.Model:
    x = keras.Input((4,), name="x")
    return keras.Model(x, {"same": x, "y": layers.Dense(3)(x)})


def _same_twice() -> keras.Model:
    x = keras.Input((4,), name="x")
    y = layers.Dense(3)(x)
    return keras.Model(x, {"first": y, "second": y})


def _constant() -> keras.Model:
    x = keras.Input((4,), name="x")
    return keras.Model(x, {"constant": Constant()(x), "y": layers.Dense(3)(x)})


def _unused_input() -> keras.Model:
    x, ignored = keras.Input((4,), name="x"), keras.Input((2,), name="ignored")
    return keras.Model([x, ignored], layers.Dense(3, name="y")(x))


def _identity() -> keras.Model:
    return keras.Sequential([keras.Input((4,), name="x"), layers.Dropout(0.5), layers.ActivityRegularization(l1=0.1)])


def _subclassed() -> keras.Model:
    model = Subclassed()
    model.predict({"a": np.ones((1, 4), np.float32), "b": np.ones((1, 3), np.float32)}, verbose=0)
    return model


def _dict_of_other_order() -> keras.Model:
    """The dictionary's keys sort otherwise than they stand, and are not the names of the Input layers."""
    tall, short = keras.Input((3,), name="tall"), keras.Input((2,), name="short")
    joined = layers.Concatenate()([tall, short])
    return keras.Model({"zulu": tall, "alpha": short}, layers.Dense(3, name="y")(joined))


MODELS = (
    CorpusModel(
        name="nested-shared",
        hard_for="a model in a model in a model, used twice with the same weights",
        write=keras_file(_nested_and_shared),
        samples=uniform((4,), (4,), names=("left", "right")),
    ),
    CorpusModel(
        name="nested-outputs",
        hard_for="outputs in a dictionary with a list with a dictionary",
        write=keras_file(_nested_outputs),
        samples=uniform((4,)),
    ),
    CorpusModel(
        name="four-alike",
        hard_for="four outputs of one shape, whose names do not sort as they stand",
        write=keras_file(_list_of_same_shape),
        samples=uniform((4,)),
    ),
    CorpusModel(
        name="input-as-output",
        hard_for="an output that is the input itself",
        write=keras_file(_input_as_output),
        samples=uniform((4,)),
    ),
    CorpusModel(
        name="same-twice",
        hard_for="two outputs that are one tensor",
        write=keras_file(_same_twice),
        samples=uniform((4,)),
    ),
    CorpusModel(
        name="constant-output",
        hard_for="an output that is the same for every sample",
        write=keras_file(_constant),
        samples=uniform((4,)),
        code=_MODULE,
    ),
    CorpusModel(
        name="unused-input",
        hard_for="an input that nothing depends on",
        write=keras_file(_unused_input),
        samples=uniform((4,), (2,), names=("x", "ignored")),
    ),
    CorpusModel(
        name="identity",
        hard_for="a model that does nothing at inference",
        write=keras_file(_identity),
        samples=uniform((4,)),
    ),
    CorpusModel(
        name="subclassed",
        hard_for="a model that is a class, with a dictionary in and out",
        write=keras_file(_subclassed),
        samples=uniform((4,), (3,), names=("a", "b")),
        code=_MODULE,
    ),
    CorpusModel(
        name="dictionary-keys",
        hard_for="a dictionary of inputs whose keys are not the names of the Input layers",
        write=keras_file(_dict_of_other_order),
        samples=uniform((3,), (2,), names=("tall", "short")),
    ),
)
