"""Every kind of source loads and answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.adopting import Asked, adopted
from pipeline.config import Config
from pipeline.core.errors import ModelFailed
from pipeline.golden import GOLDEN_FILE
from pipeline.golden import load as load_golden
from tests.integration.pipeline.foreign.taking import NOT_OURS, loaded, taken

pytestmark = NOT_OURS


@pytest.mark.parametrize(
    ("source", "runtime"),
    [
        ("small.keras", "Keras"),
        ("old.h5", "Keras"),
        ("only_old.h5", "tf-keras"),
        ("only_old.keras", "tf-keras"),
        ("builders.py:nested", "Keras"),
        ("builders:subclassed", "Keras"),
        ("tf1", "TensorFlow (the SavedModel itself)"),
    ],
)
def test_every_kind_of_source_is_taken_in_with_answers_of_its_own(source: str, runtime: str, tmp_path: Path) -> None:
    import tensorflow as tf

    facts = taken(source, tmp_path, count=9)
    assert facts["reference"]["runtime"] == runtime
    assert "synthetic" in facts["samples"]
    golden = load_golden(tmp_path / GOLDEN_FILE)
    signature = tf.saved_model.load(str(tmp_path / "saved_model")).signatures[facts["signature"]["name"]]
    answers = signature(**{name: tf.constant(array) for name, array in golden.inputs.items()})
    for name, want in golden.reference.items():
        assert len(want) == 9
        np.testing.assert_allclose(answers[name].numpy(), want, rtol=1e-5, atol=1e-5)
    assert not facts["unrepeatable"]


def test_names_that_no_signature_can_have_are_changed_and_said(tmp_path: Path) -> None:
    facts = taken("builders.py:nested", tmp_path)
    assert facts["notes"] == [
        "Input `left side` is called `left_side` in the signature.",
        "Input `words-2` is called `words_2` in the signature.",
    ]
    assert facts["output_names"] == ["sum", "both_0", "both_1"]
    # Indices beyond the embedding would end in an error.
    assert load_golden(tmp_path / GOLDEN_FILE).inputs["words_2"].max() == 19


def test_a_subclassed_model_is_asked_as_it_was_built(tmp_path: Path) -> None:
    facts = taken("builders.py:subclassed", tmp_path)
    assert [(one["name"], one["shape"]) for one in facts["signature"]["inputs"]] == [("x", [None, 5])]
    assert facts["output_names"] == ["twice", "parts_0", "parts_1"]
    assert "float32 was assumed" in facts["notes"][0]


def test_samples_say_what_a_model_of_several_arguments_takes(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="is called with left, times") as refused:
        loaded("builders.py:two_arguments")
    assert "--samples" in refused.value.hint
    left, times = np.random.default_rng(0).random((30, 4), np.float32), np.arange(30, dtype=np.int32)
    np.savez(tmp_path / "mine.npz", left=left, times=times)
    facts = taken("builders.py:two_arguments", tmp_path / "in", samples=tmp_path / "mine.npz")
    assert [one["dtype"] for one in facts["signature"]["inputs"]] == ["float32", "int32"]
    assert not facts["notes"]


def test_the_answers_are_those_of_predict(tmp_path: Path) -> None:
    """Called layer by layer, Keras's Resizing rounds to the input's integers: every target would be found wrong."""
    taken("builders.py:resized", tmp_path)
    pixels = load_golden(tmp_path / GOLDEN_FILE).reference["pixels"]
    assert pixels.dtype == np.float32
    assert np.abs(pixels - np.round(pixels)).max() > 0.1


def test_a_fixed_batch_is_kept_and_said(tmp_path: Path) -> None:
    facts = taken("builders.py:fixed", tmp_path, count=5)
    assert facts["test_samples"] == 8
    assert "fixed at 4" in facts["notes"][0]


def test_only_outputs_that_the_model_repeats_are_a_reference(tmp_path: Path) -> None:
    facts = taken("builders.py:noisy", tmp_path)
    assert facts["unrepeatable"].keys() == {"noise"}
    assert "asked the same again" in facts["unrepeatable"]["noise"]


def test_dropout_that_was_left_on_is_said_to_be_off_here(tmp_path: Path) -> None:
    """predict() turns it off and model.export() does not: one would ship another model than one had tried out."""
    facts = taken("builders.py:left_on", tmp_path)
    assert not facts["unrepeatable"]
    (note,) = facts["notes"]
    assert note.startswith("Called with training=True: `drawn`, `within/noise`.")
    assert "`dropout" not in note


def test_samples_that_influence_each_other_are_found_out(tmp_path: Path) -> None:
    (why,) = taken("builders.py:among_others", tmp_path)["unrepeatable"].values()
    assert "in a batch with others" in why


def test_text_is_kept_as_it_is(tmp_path: Path) -> None:
    facts = taken("builders.py:text", tmp_path)
    golden = load_golden(tmp_path / GOLDEN_FILE)
    assert golden.reference["same"].tolist() == golden.inputs["words"].tolist()
    assert facts["output_names"] == ["hot", "same"]


def test_a_softmax_scores_classes_and_labels_give_an_accuracy(tmp_path: Path, sources: Path) -> None:
    images = np.random.default_rng(0).random((30, 8, 8, 1), dtype=np.float32)
    np.savez(tmp_path / "mine.npz", image=images, labels=np.zeros(30, np.int64))
    (tmp_path / "in").mkdir()
    facts = taken("small.keras", tmp_path / "in", samples=tmp_path / "mine.npz", labels=True)
    assert facts["scores"] == {"output": "scores", "classes": ["0", "1", "2"]}
    assert 0 <= facts["accuracy"] <= 1
    assert "of the 30 in mine.npz" in facts["samples"]


def test_of_several_versions_the_highest_is_taken() -> None:
    assert adopted("two", Asked(signature="count"), Config()).source.endswith("two/2")


def test_a_signature_is_chosen_by_name() -> None:
    assert loaded("two", signature="count").inputs[0].dtype == "int64"
