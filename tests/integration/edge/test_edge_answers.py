"""What the edge runners answer, on real files and both libraries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from edge.runtime import EdgeProcess
from pipeline.core.artifact import CALIBRATED_PRECISIONS, TFLITE_PRECISIONS, Artifact, Precision
from pipeline.core.errors import TargetFailed
from pipeline.core.model import predicted_classes
from pipeline.core.target import Session
from tests.integration.exported import Exported, export, tflite

# The largest difference from the model on its 360 test images; a few times what was seen on both libraries.
_LARGEST = {
    Precision.FLOAT32: 1e-5,
    Precision.FLOAT16: 5e-3,
    Precision.DYNAMIC: 5e-2,
    Precision.INT8: 1e-1,
    Precision.INT8_IO: 1e-1,
    Precision.INT16X8: 1e-1,
}


@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("precision", TFLITE_PRECISIONS)
def test_every_precision_answers_at_every_batch_size(
    edge_session: Session,
    small: Exported,
    small_tflite: Mapping[Precision, Artifact],
    precision: Precision,
    batch_size: int,
) -> None:
    """Otherwise a precision that converts well would be reported as broken, or the other way round."""
    with edge_session.load(small_tflite[precision], "") as runner:
        answers = runner.run(small.samples, batch_size=batch_size)
    got, want = answers.outputs["probabilities"], small.answers["probabilities"]
    assert got.shape == want.shape
    assert got.dtype == np.float32
    assert np.abs(got - want).max() < _LARGEST[precision]
    assert (predicted_classes(got) == predicted_classes(want)).mean() > 0.97
    assert len(answers.call_seconds) == -(-360 // batch_size)
    assert (answers.call_seconds > 0).all()


@pytest.mark.parametrize("precision", [p for p in TFLITE_PRECISIONS if p is not Precision.INT16X8])
def test_inputs_and_outputs_are_paired_by_name(
    edge_session: Session, pairs: Exported, pairs_tflite: Mapping[Precision, Artifact], precision: Precision
) -> None:
    """Outputs of one shape that are swapped pass every other check."""
    backwards = dict(reversed(list(pairs.samples.items())))
    with edge_session.load(pairs_tflite[precision], "") as runner:
        outputs = runner.run(backwards, batch_size=7).outputs
    assert outputs.keys() == pairs.answers.keys()
    for name, want in pairs.answers.items():
        assert np.abs(outputs[name] - want).max() < (0.3 if precision in CALIBRATED_PRECISIONS else 1e-5), name


def test_an_answer_stays_what_it_was(
    edge_session: Session, small: Exported, small_tflite: Mapping[Precision, Artifact]
) -> None:
    """Runtimes reuse their output buffers: what was answered first must not turn into what was answered last."""
    with edge_session.load(small_tflite[Precision.FLOAT32], "") as runner:
        first = runner.run(small.samples, batch_size=64).outputs["probabilities"]
        kept = first.copy()
        runner.run({"image": small.samples["image"][::-1]}, batch_size=64)
        again = runner.run(small.samples, batch_size=64).outputs["probabilities"]
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(first, again)


def test_xnnpack_applies_and_the_runner_says_so(
    edge: EdgeProcess, edge_session: Session, small: Exported, small_tflite: Mapping[Precision, Artifact]
) -> None:
    """tflite-runtime 2.14 gives XNNPACK up without a word, at a quarter of the speed; then the figures mean nothing."""
    delegates = {}
    for precision in TFLITE_PRECISIONS:
        with edge_session.load(small_tflite[precision], "") as runner:
            runner.run(small.samples, batch_size=7)
            delegates[precision] = runner.info.details["delegate"]
    assert delegates[Precision.FLOAT32] == "XNNPACK for 7 of 7 operations"
    assert delegates[Precision.FLOAT16] == "XNNPACK for 15 of 15 operations"
    # The last wheel of tflite-runtime was built without XNNPACK's quantized operations.
    if edge.library == "tflite-runtime":
        assert delegates[Precision.DYNAMIC] == "XNNPACK for 5 of 7 operations"
        assert delegates[Precision.INT8] == "none: plain kernels for all 9 operations"
    else:
        assert delegates[Precision.DYNAMIC] == "XNNPACK for 7 of 7 operations"
        assert delegates[Precision.INT8] == "XNNPACK for 8 of 9 operations"


def test_an_int8_file_is_asked_and_answers_in_the_models_own_units(
    edge_session: Session, small: Exported, small_tflite: Mapping[Precision, Artifact]
) -> None:
    """Compared as they lie in the file, integers are far from every float; and the report must say who converts."""
    with edge_session.load(small_tflite[Precision.INT8_IO], "") as runner:
        answers = runner.run(small.samples, batch_size=64).outputs["probabilities"]
        said = runner.info.details["quantized and dequantized by the runner"]
        with pytest.raises(TargetFailed, match="input `image` holds NaN"):
            runner.run({"image": np.full((1, 8, 8, 1), np.nan, np.float32)}, batch_size=1)
    assert "image (int8, scale 0.0039" in said
    assert "probabilities (int8, scale 0.0039" in said
    assert len(np.unique(answers)) <= 256
    with edge_session.load(small_tflite[Precision.INT8], "") as runner:
        assert "quantized and dequantized by the runner" not in runner.info.details


def test_the_runner_says_what_really_ran(
    edge: EdgeProcess, edge_session: Session, small_tflite: Mapping[Precision, Artifact]
) -> None:
    """A report whose versions are those that were asked for proves nothing about those that ran."""
    with edge_session.load(small_tflite[Precision.FLOAT32], "") as runner:
        info = runner.info
    assert (info.runtime, info.version) == {
        "tflite-runtime": ("tflite-runtime", "2.14.0"),
        "litert": ("LiteRT", "2.3.0"),
    }[edge.library]
    assert info.version == edge.settings()["version"]
    assert info.details["threads"] == "1"
    assert info.details["machine"] == edge.settings()["machine"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda image: image.astype(np.float64), "input `image` is float32, given was float64"),
        (lambda image: image[..., 0], r"input `image` is of shape \[None, 8, 8, 1\], given was \[7, 8, 8\]"),
        (lambda image: image[:, :5], r"input `image` is of shape \[None, 8, 8, 1\], given was \[7, 5, 8, 1\]"),
        (lambda image: image[:0], "hold no samples"),
        (lambda image: image.astype(str), "input `image` is float32, given was string"),
    ],
    ids=["dtype", "rank", "size", "none", "text"],
)
def test_wrong_inputs_are_refused_and_do_no_harm(
    edge_session: Session,
    small: Exported,
    small_tflite: Mapping[Precision, Artifact],
    change: object,
    complaint: str,
) -> None:
    """Left alone, a runtime resizes itself to them and answers nonsense."""
    assert callable(change)
    with edge_session.load(small_tflite[Precision.FLOAT32], "") as runner:
        with pytest.raises(TargetFailed, match=complaint):
            runner.run({"image": change(small.samples["image"])}, batch_size=7)
        with pytest.raises(TargetFailed, match=r"the inputs are \['image'\], given were \['picture'\]"):
            runner.run({"picture": small.samples["image"]}, batch_size=7)
        assert len(runner.run(small.samples, batch_size=64).outputs["probabilities"]) == 360


def test_a_file_with_another_signature_is_refused(
    edge_session: Session, small_tflite: Mapping[Precision, Artifact], pairs_tflite: Mapping[Precision, Artifact]
) -> None:
    """A file that was mixed up in the store would otherwise be compared under the wrong names."""
    from dataclasses import replace

    mixed_up = replace(small_tflite[Precision.FLOAT32], path=pairs_tflite[Precision.FLOAT32].path)
    with pytest.raises(TargetFailed, match="weight"), edge_session.load(mixed_up, ""):
        pass


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A vocabulary of three words, one-hot, and the word itself given back: text goes in and comes out."""
    import keras
    from keras import layers

    word = keras.Input((1,), dtype="string", name="word")
    hot = layers.StringLookup(vocabulary=["ab", "Größe", "c"], output_mode="one_hot")(word)
    samples = {"word": np.array([[b"ab"], ["Größe".encode()], [b"c"], [b"none of them"], [b""]], dtype=object)}
    answers = {"place": np.eye(4, dtype=np.float32)[[1, 2, 3, 0, 0]], "same": samples["word"]}
    folder = tmp_path_factory.mktemp("words") / "words"
    return export(keras.Model(word, [hot, word]), folder, samples=samples, answers=answers)


def test_text_goes_in_and_comes_out(
    edge_session: Session, words: Exported, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Vocabularies are text; both libraries can look words up, so the runner must not be what cannot."""
    with edge_session.load(tflite(words, tmp_path_factory.mktemp("words"), Precision.FLOAT32), "") as runner:
        for size in (1, 2, 5):
            answered = runner.run(words.samples, batch_size=size).outputs
            assert np.array_equal(answered["place"], words.answers["place"])
            assert answered["same"].tolist() == words.answers["same"].tolist()
