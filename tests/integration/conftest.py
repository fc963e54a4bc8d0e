"""Real small models, made once a session: what the tests of converters and runtimes have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pipeline.core.artifact import Artifact, Precision
from pipeline.core.signature import Tensors
from tests.integration.exported import Exported, as_tflite, export

# Enough to tell most digits apart: outputs that hardly vary would make every comparison empty.
_EPOCHS = 3


@pytest.fixture(scope="session")
def digits_samples() -> Tensors:
    """The 360 test images, `image` float32 [360, 8, 8, 1] in 0..1."""
    from models.digits import data

    return data().test.inputs


@pytest.fixture(scope="session")
def small_keras_model() -> Any:
    """The digits CNN, `image` to `probabilities`, trained for a few epochs."""
    import keras

    from models.digits import MODEL, OUTPUT, data

    keras.utils.set_random_seed(0)
    model = MODEL.build()
    train = data().train
    model.fit(train.inputs["image"], train.targets[OUTPUT], epochs=_EPOCHS, batch_size=MODEL.batch_size, verbose=0)
    return model


@pytest.fixture(scope="session")
def small(small_keras_model: Any, digits_samples: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The digits CNN, exported, with its own answers."""
    answers = {"probabilities": small_keras_model.predict(digits_samples["image"], verbose=0)}
    folder = tmp_path_factory.mktemp("small") / "digits"
    return export(small_keras_model, folder, samples=digits_samples, answers=answers)


@pytest.fixture(scope="session")
def small_saved_model(small: Exported) -> Artifact:
    """The SavedModel of the digits CNN: `.path` is the version folder `digits/1/`."""
    return small.saved_model


@pytest.fixture(scope="session")
def small_tflite(small: Exported, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Precision, Artifact]:
    return as_tflite(small, tmp_path_factory.mktemp("small-tflite"))


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Two inputs, one of them integers, and two outputs of one shape: only their names tell them apart.

    The names sort in another order than the model has them in. `total` is `word` plus `weight`, `gap` is `word` minus
    `weight`, both exactly.
    """
    import keras
    from keras import layers

    word = keras.Input((4,), name="word", dtype="int32")
    weight = keras.Input((4,), name="weight")
    meaning = layers.Reshape((4,))(layers.Embedding(16, 1, embeddings_initializer=_ascending)(word))
    model = keras.Model([word, weight], [layers.Add()([meaning, weight]), layers.Subtract()([meaning, weight])])
    random = np.random.default_rng(0)
    samples: Tensors = {
        "weight": random.uniform(-3, 3, (50, 4)).astype(np.float32),
        "word": random.integers(0, 16, (50, 4), dtype=np.int32),
    }
    word_as_float = samples["word"].astype(np.float32)
    answers = {"total": word_as_float + samples["weight"], "gap": word_as_float - samples["weight"]}
    return export(model, tmp_path_factory.mktemp("pairs") / "pairs", samples=samples, answers=answers)


@pytest.fixture(scope="session")
def pairs_tflite(pairs: Exported, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Precision, Artifact]:
    """Not int16x8, which cannot be made of a model with integer inputs."""
    return as_tflite(pairs, tmp_path_factory.mktemp("pairs-tflite"), without=Precision.INT16X8)


def _ascending(shape: tuple[int, ...], dtype: Any = None) -> Any:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)
