"""Preprocessing in the model: text and categories as strings, and layers that were adapted to data."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from pipeline.core.signature import Tensors
from tests.corpus.corpus_model import SAMPLES, CorpusModel, evenly, keras_file

_CITIES = ["Aarhus", "Bern", "Cádiz", "Łódź", "東京"]


def _numbers() -> keras.Model:
    random = np.random.default_rng(5)
    x, age = keras.Input((4,), name="x"), keras.Input((1,), name="age")
    normalized = layers.Normalization()
    normalized.adapt(random.normal(3, 5, (200, 4)).astype(np.float32))
    bins = layers.Discretization(bin_boundaries=[18.0, 30.0, 65.0], output_mode="one_hot")
    joined = layers.Concatenate()([normalized(x), bins(age)])
    return keras.Model([x, age], {"y": layers.Dense(3)(joined)})


def _ages(random: np.random.Generator) -> Tensors:
    return {
        "x": random.uniform(-7, 13, (SAMPLES, 4)).astype(np.float32),
        "age": random.uniform(1, 90, (SAMPLES, 1)).astype(np.float32),
    }


def _categories() -> keras.Model:
    """Integers as categories: one-hot, many-hot, looked up, hashed."""
    kind, tags = keras.Input((1,), dtype="int64", name="kind"), keras.Input((3,), dtype="int64", name="tags")
    looked_up = layers.IntegerLookup(vocabulary=[2, 3, 5, 7, 11], output_mode="one_hot")(kind)
    many = layers.CategoryEncoding(num_tokens=12, output_mode="multi_hot")(tags)
    return keras.Model([kind, tags], {"y": layers.Dense(3)(layers.Concatenate()([looked_up, many]))})


def _kinds(random: np.random.Generator) -> Tensors:
    return {
        "kind": random.integers(0, 12, (SAMPLES, 1)).astype(np.int64),
        "tags": random.integers(0, 12, (SAMPLES, 3)).astype(np.int64),
    }


def _strings() -> keras.Model:
    city = keras.Input((1,), dtype="string", name="city")
    looked_up = layers.StringLookup(vocabulary=_CITIES, output_mode="one_hot")(city)
    hashed = layers.CategoryEncoding(8, output_mode="one_hot")(layers.Hashing(8)(city))
    return keras.Model(city, {"y": layers.Dense(3)(layers.Concatenate()([looked_up, hashed]))})


def _labels() -> keras.Model:
    """Text out: the name of the best class."""
    x = keras.Input((4,), name="x")
    best = keras.ops.argmax(layers.Dense(len(_CITIES))(x), axis=-1)
    name = layers.StringLookup(vocabulary=_CITIES, invert=True, num_oov_indices=0)(best)
    return keras.Model(x, {"name": name, "best": best})


def _text() -> keras.Model:
    text = keras.Input((), dtype="string", name="text")
    words = layers.TextVectorization(vocabulary=["the", "cat", "sat", "mat", "dog"], output_sequence_length=6)(text)
    return keras.Model(text, {"y": layers.Dense(3)(layers.Flatten()(layers.Embedding(8, 4)(words)))})


def _text_and_numbers() -> keras.Model:
    """What is in front of `words` no target but the server can do; the numbers beside it stay an input."""
    text, stars = keras.Input((), dtype="string", name="text"), keras.Input((2,), name="stars")
    words = layers.TextVectorization(vocabulary=_WORDS, output_sequence_length=6, name="words")(text)
    known = layers.Flatten()(layers.Embedding(len(_WORDS) + 2, 4, embeddings_initializer="glorot_normal")(words))
    return keras.Model(
        [text, stars], {"y": layers.Dense(3, activation="softmax")(layers.Concatenate()([known, stars]))}
    )


def _reviews(random: np.random.Generator) -> Tensors:
    return {
        "text": random.choice(np.array(_SENTENCES, dtype=object), SAMPLES),
        "stars": (random.integers(1, 6, (SAMPLES, 2)) / 5).astype(np.float32),
    }


def _chosen(name: str, choices: list[str], shape: tuple[int, ...]) -> Any:
    def samples(random: np.random.Generator) -> Tensors:
        return {name: random.choice(np.array(choices, dtype=object), (SAMPLES, *shape))}

    return samples


_WORDS = ["the", "cat", "sat", "mat", "dog", "ÉCOLE"]
_SENTENCES = ["The cat sat.", "the DOG on the mat", "", "a cat, a dog & a mat!", "nothing known", "żółć 猫"]


def _plain(random: np.random.Generator) -> Tensors:
    return {"x": evenly(random, (SAMPLES, 4))}


def _entry(name: str, hard_for: str, build: Any, samples: Any, after: tuple[str, ...] = ()) -> CorpusModel:
    return CorpusModel(name=name, hard_for=hard_for, write=keras_file(build), samples=samples, after=after)


MODELS = (
    _entry("normalization-bins", "Normalization adapted to data, Discretization", _numbers, _ages),
    _entry("categories", "IntegerLookup and CategoryEncoding", _categories, _kinds),
    _entry("string-input", "strings in: StringLookup and Hashing", _strings, _chosen("city", [*_CITIES, "?"], (1,))),
    _entry("string-output", "strings out", _labels, _plain),
    _entry("text", "sentences in: TextVectorization", _text, _chosen("text", _SENTENCES, ())),
    _entry("text-after", "the part behind TextVectorization, numbers beside", _text_and_numbers, _reviews, ("words",)),
)
