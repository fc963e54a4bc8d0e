"""Constants of float16 files that no half float holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.runtime import EdgeProcess
from export.tflite_beyond_halves import kept_beyond_halves
from pipeline.core.artifact import Precision
from tests.integration.exported import Exported, export, tflite

_CONSTANT_ROW = 3


def exported(folder: Path, build: Callable[[Any], Any]) -> Exported:
    """The model that `build` makes of five numbers; one sample has all its numbers alike."""
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((5,), name="x")
    model = keras.Model(x, build(x))
    samples = np.random.default_rng(0).uniform(-1, 1, (9, 5)).astype(np.float32)
    samples[_CONSTANT_ROW] = 0.5
    return export(model, folder, samples={"x": samples}, answers={"y": model.predict(samples, verbose=0)})


def answered(source: Exported, folder: Path) -> np.ndarray[Any, Any]:
    made = tflite(source, folder / "files", Precision.FLOAT16)
    (scratch := folder / "edge").mkdir()
    with EdgeProcess(library="litert").boot(scratch) as session, session.load(made, "") as runner:
        return np.asarray(runner.run(source.samples, batch_size=7).outputs["y"])


@pytest.mark.parametrize("factor", [1e30, 1e-5, 1e-30])
def test_a_factor_beyond_halves_is_kept(tmp_path: Path, factor: float) -> None:
    """Folded into the weights of a dense layer, 1e30 became 65,504, and 1e-30 zero; with 1e-5 a hundredth was lost."""
    import keras

    model = exported(tmp_path / "scaled", lambda x: keras.layers.Dense(3)(x) * factor)
    np.testing.assert_allclose(answered(model, tmp_path), model.answers["y"], rtol=1e-5, atol=1e-5 * factor)


def test_a_small_epsilon_is_kept(tmp_path: Path) -> None:
    """BERT's 1e-12 became zero: a row of equal values, as padding has them, was divided by zero and NaN."""
    import keras

    model = exported(tmp_path / "normal", keras.layers.LayerNormalization(epsilon=1e-12))
    np.testing.assert_allclose(answered(model, tmp_path)[_CONSTANT_ROW], np.zeros(5), atol=1e-6)


def test_a_model_of_ordinary_weights_is_converted_once(tmp_path: Path) -> None:
    """Biases of an untrained model are zeros, too: a second conversion of each such model would take as long again."""
    import keras

    model = exported(tmp_path / "plain", keras.layers.Dense(3))
    content = tflite(model, tmp_path, Precision.FLOAT16).path.read_bytes()

    def never() -> bytes:
        raise AssertionError("converted a second time")

    assert kept_beyond_halves(content, never, model.saved_model.path) == (content, ())
