"""Models that take few of all values, adopted without samples: what they are asked is found in their operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from tests.corpus.corpus_model import CorpusModel, keras_file


def _tokens() -> keras.Model:
    """Ids, positions and kinds as floats into tables of three sizes, and a mask of scores."""
    ids, places = keras.Input((12,), name="ids"), keras.Input((12,), name="places")
    kinds, mask = keras.Input((12,), name="kinds"), keras.Input((12,), name="mask")
    tables = [
        layers.Embedding(rows, 8, embeddings_initializer="glorot_normal")(one)
        for rows, one in ((500, ids), (12, places), (2, kinds))
    ]
    states = layers.LayerNormalization()(layers.Add()(tables))
    # Not the usual -1e4: beside it int8 has one number for all scores, which is another matter.
    scores = keras.ops.where(keras.ops.cast(mask, "bool"), keras.ops.squeeze(layers.Dense(1)(states), -1), -8.0)
    read = keras.ops.sum(states * keras.ops.expand_dims(keras.ops.softmax(scores), -1), axis=1)
    return keras.Model([ids, places, kinds, mask], {"y": layers.Dense(3)(read)})


def _table() -> keras.Model:
    """Columns as FeatureSpace reads them, of which two have no room for what they do not know."""
    feature = keras.utils.FeatureSpace
    space = feature(
        features={
            "age": feature.float_discretized(num_bins=4),
            "income": feature.float_normalized(),
            "city": feature.string_categorical(num_oov_indices=0),
            "year": feature.integer_categorical(num_oov_indices=0),
            "work": feature.string_categorical(),
        },
        output_mode="concat",
    )
    random, rows = np.random.default_rng(0), 200
    space.adapt(
        _batches(
            {
                "age": random.normal(40, 12, rows).astype(np.float32),
                "income": random.normal(5e4, 9e3, rows).astype(np.float32),
                "city": random.choice(["Bern", "Rome", "Oslo"], rows),
                "year": random.choice([1990, 2005, 2020], rows),
                "work": random.choice(["cook", "smith"], rows),
            }
        )
    )
    scores = layers.Dense(3, activation="softmax")(space.get_encoded_features())
    return keras.Model(space.get_inputs(), {"y": scores})


def _batches(columns: dict[str, Any]) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(columns)


def _lengths() -> keras.Model:
    """A series and how much of it counts: a length of nothing would make the average NaN."""
    series, length = keras.Input((10, 4), name="series"), keras.Input((), dtype="int32", name="length")
    there = keras.ops.less(keras.ops.expand_dims(keras.ops.arange(10), 0), keras.ops.expand_dims(length, -1))
    kept = series * keras.ops.expand_dims(keras.ops.cast(there, "float32"), -1)
    mean = keras.ops.sum(kept, axis=1) / keras.ops.expand_dims(keras.ops.cast(length, "float32"), -1)
    return keras.Model([series, length], {"y": layers.Dense(3)(mean)})


def _entry(name: str, hard_for: str, build: Callable[[], keras.Model]) -> CorpusModel:
    return CorpusModel(name=name, hard_for=hard_for, write=keras_file(build), samples=None)


MODELS = (
    _entry("unasked-tokens", "no samples: floats that are indices, a mask", _tokens),
    _entry("unasked-table", "no samples: FeatureSpace, columns without room for the unknown", _table),
    _entry("unasked-lengths", "no samples: lengths of sequences", _lengths),
)
