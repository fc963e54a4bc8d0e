"""The weights of a file of halves beside the trained ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.core.artifact import Precision
from pipeline.diagnosis.artifact_weights import held_by
from pipeline.diagnosis.graph import Graph
from pipeline.diagnosis.weights import compared
from tests.integration.exported import export, tflite


def test_halves_that_are_kept_as_float32_are_the_trained_weights(tmp_path: Path) -> None:
    """A sound float16 file of a model with slopes or scales was told to hold the weights of another."""
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((6,), name="x")
    # Names of its own: what Keras counts up goes on from the tests before.
    sloped = keras.layers.PReLU("uniform", name="slopes")(keras.layers.Dense(8, name="first")(x))
    model = keras.Model(x, keras.layers.Dense(3, name="second")(sloped))
    samples = {"x": np.random.default_rng(0).uniform(-1, 1, (9, 6)).astype(np.float32)}
    answers = {"y": model.predict(samples["x"], verbose=0)}
    made = tflite(export(model, tmp_path / "sloped", samples=samples, answers=answers), tmp_path, Precision.FLOAT16)
    graph = Graph(model, ("y",), samples)
    found = {one.label: one for one in compared(graph, held_by(made))}
    assert {"slopes/alpha", "first/kernel", "second/kernel"} <= found.keys()
    assert not any(one.off.any() for one in found.values())
    # By a file that calls itself exact the same values are none of the trained ones.
    exact = compared(graph, held_by(replace(made, precision=Precision.FLOAT32)))
    assert any(one.label == "slopes/alpha" and one.off.any() for one in exact)
