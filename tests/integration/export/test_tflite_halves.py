"""Constants of float16 files, on the runtime that loses what it has widened once."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from edge.runtime import EdgeProcess
from export.tflite_halves import unfolded_halves_widened
from pipeline.core.artifact import Precision
from tests.integration.exported import Exported, export, tflite

_WORDS, _WIDTH = 300, 64


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Words looked up in a table, and a dense layer of as many weights."""
    import keras

    keras.utils.set_random_seed(0)
    words = keras.Input((5,), name="words", dtype="int32")
    vectors = keras.layers.Embedding(_WORDS, _WIDTH, embeddings_initializer="normal")(words)
    model = keras.Model(words, keras.layers.Dense(_WORDS)(keras.ops.mean(vectors, axis=1)))
    samples = {"words": np.random.default_rng(0).integers(0, _WORDS, (9, 5), np.int32)}
    answers = {"y": model.predict(samples["words"], verbose=0)}
    return export(model, tmp_path_factory.mktemp("embedded"), samples=samples, answers=answers)


@pytest.mark.parametrize("library", ["tflite-runtime", "litert"])
def test_an_embedding_in_halves_answers_alike_at_every_batch_size(
    embedded: Exported, tmp_path: Path, library: Literal["tflite-runtime", "litert"]
) -> None:
    """tflite-runtime 2.14 answered garbage to the second batch size, and an app that asks one by one never saw it."""
    made = tflite(embedded, tmp_path / "files", Precision.FLOAT16)
    (scratch := tmp_path / library).mkdir()
    with EdgeProcess(library=library).boot(scratch) as session, session.load(made, "") as runner:
        for batch_size in (1, 7):
            got = runner.run(embedded.samples, batch_size=batch_size).outputs["y"]
            np.testing.assert_allclose(got, embedded.answers["y"], atol=2e-4)


def test_weights_that_are_folded_stay_halves(embedded: Exported, tmp_path: Path) -> None:
    """A file of float16 that is as large as one of float32 is of no use."""
    halves = tflite(embedded, tmp_path, Precision.FLOAT16)
    table, weights = _WORDS * _WIDTH * 4, _WORDS * (_WIDTH + 1) * 2
    assert table + weights < halves.size_bytes < table + weights + 6000
    content = halves.path.read_bytes()
    assert unfolded_halves_widened(content) == unfolded_halves_widened(unfolded_halves_widened(content))


def test_a_table_of_words_is_passed_by(tmp_path: Path) -> None:
    """The operation that fills a table has no output to look at: every model with a vocabulary broke off."""
    import keras

    words = keras.Input((1,), name="word", dtype="string")
    known = keras.layers.StringLookup(vocabulary=["red", "green"])(words)
    model = keras.Model(words, keras.layers.Dense(3)(keras.layers.Embedding(3, 4)(known)))
    samples = {"word": np.array([[b"red"], [b"blue"]], object)}
    exported = export(model, tmp_path / "words", samples=samples, answers={"y": np.zeros((2, 1, 3), np.float32)})
    assert tflite(exported, tmp_path, Precision.FLOAT16).size_bytes > 0


def test_a_constant_that_a_product_shares_with_others_is_kept_for_both(tmp_path: Path) -> None:
    """Attention whose mask and dense layers had a constant in common ended with `Input tensor 15 lacks data`."""
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((6, 8), name="x")
    wide = keras.layers.Dense(8)(x)
    attended = [keras.layers.MultiHeadAttention(2, 4, dropout=d)(wide, wide, use_causal_mask=True) for d in (0.0, 0.1)]
    model = keras.Model(x, attended[0] + attended[1])
    samples = {"x": np.random.default_rng(1).uniform(-1, 1, (9, 6, 8)).astype(np.float32)}
    answers = {"y": model.predict(samples["x"], verbose=0)}
    made = tflite(export(model, tmp_path / "shared", samples=samples, answers=answers), tmp_path, Precision.FLOAT16)
    (scratch := tmp_path / "edge").mkdir()
    with EdgeProcess(library="litert").boot(scratch) as session, session.load(made, "") as runner:
        got = runner.run(samples, batch_size=7).outputs["y"]
    np.testing.assert_allclose(got, answers["y"], atol=1e-2)
