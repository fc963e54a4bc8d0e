"""Inputs, outputs and insides of other types than float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from pipeline.core.signature import Tensors
from tests.corpus.corpus_model import SAMPLES, CorpusModel, evenly, keras_file, uniform


def _cast(dtype: str) -> Callable[[], keras.Model]:
    """A small net behind an input of the given type."""

    def build() -> keras.Model:
        x = keras.Input((6,), dtype=dtype, name="x")
        hidden = layers.Dense(8, activation="tanh")(keras.ops.cast(x, "float32") * (1 / 8))
        return keras.Model(x, layers.Dense(3, name="y")(hidden))

    return build


def _of(dtype: str) -> Callable[[], keras.Model]:
    """A net that computes in that type from input to output."""

    def build() -> keras.Model:
        x = keras.Input((6,), dtype=dtype, name="x")
        hidden = layers.Dense(8, activation="tanh", dtype=dtype)(x)
        return keras.Model(x, layers.Dense(3, dtype=dtype, name="y")(hidden))

    return build


def _image() -> keras.Model:
    x = keras.Input((8, 8, 3), dtype="uint8", name="image")
    hidden = layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(x))
    return keras.Model(x, layers.Dense(3, name="y")(layers.Flatten()(hidden)))


def _mixed(policy: str) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        x = keras.Input((8, 8, 2), name="x")
        hidden = layers.Conv2D(4, 3, activation="relu", dtype=policy)(x)
        hidden = layers.BatchNormalization(dtype=policy)(hidden)
        scores = layers.Dense(3, dtype=policy)(layers.Flatten(dtype=policy)(hidden))
        return keras.Model(x, layers.Activation("softmax", dtype="float32", name="y")(scores))

    return build


def _choose() -> keras.Model:
    x = keras.Input((4,), name="x")
    flag = keras.Input((4,), dtype="bool", name="flag")
    chosen = keras.ops.where(flag, layers.Dense(4)(x), -x)
    return keras.Model([x, flag], {"chosen": chosen, "neither": keras.ops.logical_not(flag)})


def _choice(random: np.random.Generator) -> Tensors:
    return {
        "x": evenly(random, (SAMPLES, 4)),
        "flag": random.integers(0, 2, (SAMPLES, 4)).astype(np.bool_),
    }


def _integers(
    dtype: str, low: int, high: int, name: str = "x", shape: tuple[int, ...] = (6,)
) -> Callable[..., Tensors]:
    def samples(random: np.random.Generator) -> Tensors:
        return {name: random.integers(low, high, (SAMPLES, *shape)).astype(dtype)}

    return samples


def _floats(dtype: str) -> Callable[..., Tensors]:
    def samples(random: np.random.Generator) -> Tensors:
        return {"x": evenly(random, (SAMPLES, 6)).astype(dtype)}

    return samples


def _counts() -> keras.Model:
    """Integers in, integers out: what wraps, and what needs more than 32 bits, shows."""
    a = keras.Input((3,), dtype="int64", name="a")
    b = keras.Input((3,), dtype="int32", name="b")
    wide = keras.ops.cast(b, "int64")
    return keras.Model([a, b], {"sum": a + wide, "rest": keras.ops.mod(a, wide), "larger": keras.ops.greater(a, wide)})


def _pairs(random: np.random.Generator) -> Tensors:
    return {
        "a": random.integers(-(2**20), 2**20, (SAMPLES, 3)).astype(np.int64),
        "b": random.integers(1, 1000, (SAMPLES, 3)).astype(np.int32),
    }


def _wide(random: np.random.Generator) -> Tensors:
    return {**_pairs(random), "a": random.integers(-(2**40), 2**40, (SAMPLES, 3)).astype(np.int64)}


def _entry(name: str, hard_for: str, build: Callable[[], Any], samples: Callable[..., Tensors]) -> CorpusModel:
    return CorpusModel(name=name, hard_for=hard_for, write=keras_file(build), samples=samples)


MODELS = (
    _entry("int32-input", "integers in", _cast("int32"), _integers("int32", -8, 8)),
    _entry("int64-input", "64-bit integers in", _cast("int64"), _integers("int64", -8, 8)),
    _entry("int8-input", "8-bit integers in", _cast("int8"), _integers("int8", -8, 8)),
    _entry("uint8-image", "bytes of an image in", _image, _integers("uint8", 0, 256, "image", (8, 8, 3))),
    _entry("bool-choice", "booleans in and out", _choose, _choice),
    _entry("int64-outputs", "integers through and out", _counts, _pairs),
    _entry("int64-wide", "integers beyond 32 bits", _counts, _wide),
    _entry("float16-input", "half floats in", _cast("float16"), _floats("float16")),
    _entry("float64-input", "doubles in", _cast("float64"), _floats("float64")),
    _entry("float16-throughout", "half floats from end to end", _of("float16"), _floats("float16")),
    _entry("float64-throughout", "doubles from end to end", _of("float64"), _floats("float64")),
    _entry("mixed-float16", "Keras's mixed_float16 policy", _mixed("mixed_float16"), uniform((8, 8, 2))),
    _entry("mixed-bfloat16", "Keras's mixed_bfloat16 policy", _mixed("mixed_bfloat16"), uniform((8, 8, 2))),
)
