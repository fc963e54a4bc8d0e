"""Which batches a model takes, where its own inputs name a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.keras_interface import interface_of
from export.saved_model_from_keras import saved_model_from_keras

_WIDTH, _TRAINED_WITH = 3, 8


def _trained(kind: Any) -> Any:
    """The first model of most tutorials: layers, no Input, and shapes from the data that it is fitted to."""
    model = kind.Sequential([kind.layers.Dense(4, activation="relu"), kind.layers.Dense(2)])
    model.compile("sgd", "mse")
    samples = np.zeros((2 * _TRAINED_WITH, _WIDTH), np.float32)
    model.fit(samples, samples[:, :2], batch_size=_TRAINED_WITH, verbose=0)
    return model


def _keras(name: str) -> Any:
    import keras
    import tf_keras

    return {"Keras 3": keras, "tf-keras": tf_keras}[name]


@pytest.mark.parametrize("kind", ["Keras 3", "tf-keras"])
def test_a_model_that_was_built_by_its_training_takes_any_batch(kind: str) -> None:
    """Its export took the training's batches only, and every app would have to fill them up."""
    interface = interface_of(_trained(_keras(kind)))
    assert [spec.shape for spec in interface.inputs] == [(None, _WIDTH)]


def test_its_export_does_too(tmp_path: Path) -> None:
    """A server that takes requests of 8 rows only is of no use."""
    import tensorflow as tf

    model = _trained(_keras("Keras 3"))
    (name,) = (tensor.name for tensor in model.inputs)
    warmup = {name: np.zeros((1, _WIDTH), np.float32)}
    saved_model_from_keras(
        model, into=tmp_path, version=1, output_names=("y",), model_name="built", warmup_samples=warmup
    )
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    samples = np.random.default_rng(0).normal(size=(5, _WIDTH)).astype(np.float32)
    np.testing.assert_allclose(served(**{name: tf.constant(samples)})["y"], model(samples), atol=1e-6)


@pytest.mark.parametrize("stateful", [True, False])
def test_a_layer_that_remembers_keeps_its_batch(*, stateful: bool) -> None:
    """Each row goes on where that row was, so that other rows would make no sense."""
    import keras

    model = keras.Sequential([keras.Input(batch_shape=(2, 4, _WIDTH)), keras.layers.LSTM(2, stateful=stateful)])
    assert interface_of(model).inputs[0].shape[0] == (2 if stateful else None)
