"""What is not taken in says why, with a mend."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.adopting import Asked, adopted
from pipeline.config import Config
from pipeline.core.errors import ModelFailed, UsageError
from tests.integration.pipeline.foreign.taking import NOT_OURS, loaded, taken

pytestmark = NOT_OURS


@pytest.mark.parametrize(
    ("source", "asked", "complaint", "mend"),
    [
        ("custom.keras", {}, "Shifted", "--custom-objects"),
        ("custom.keras", {"custom_objects": ("my_layers:Absent",)}, "has no `Absent`", "correct the name"),
        ("custom.keras", {"custom_objects": ("code:Twice",)}, "in Python already, not", "rename code.py"),
        ("custom.keras", {"custom_objects": ("raising:X",)}, "importing raising raised", "mend it"),
        ("unfit.keras", {"trust": True}, "Unable to revive", "__init__ of a class of your own has to take"),
        ("hub.keras", {}, "keras_hub", "install keras_hub"),
        ("cut.h5", {}, r"cut\.h5 is damaged", "save it again"),
        ("only.weights.h5", {}, "holds weights, but no model", "save the whole model"),
        ("none", {}, "has no signatures", "model.export"),
        ("builders.py:unbuilt", {}, "does not say what its inputs are", "keras.Input"),
        ("builders.py:raises", {}, "raised KeyError: 'no weights here'", "without arguments"),
        ("builders.py:leaves", {}, "raised SystemExit: 0", "has to return a Keras model"),
        ("leaving.py:build", {}, r"importing .*leaving.py raised SystemExit: no GPU", "mend it"),
        ("builders.py:needs", {}, "raised TypeError", "without arguments"),
        ("builders.py:no_model", {}, "returned a builtins.int", "a model of Keras 3 or tf-keras"),
        ("builders.py:absent", {}, "has no `absent`", "after the colon"),
    ],
)
def test_what_does_not_load_says_why_and_what_would_help(
    source: str, asked: dict[str, object], complaint: str, mend: str, sources: Path
) -> None:
    (sources / "raising.py").write_text("1 / 0\n")
    (sources / "leaving.py").write_text("import sys\nsys.exit('no GPU')\n")
    (sources / "code.py").write_text("Twice = 2\n")
    with pytest.raises(ModelFailed, match=complaint) as refused:
        loaded(source, **asked)
    assert mend in refused.value.hint


def test_a_signature_is_not_refused_for_what_another_takes(sources: Path, tmp_path: Path) -> None:
    """One that takes anything beside the one that is wanted made the whole folder useless."""
    folder = _saved_model_changed(sources / "two/1", tmp_path)
    assert [spec.name for spec in loaded(str(folder), signature="count").inputs] == ["n"]
    with pytest.raises(ModelFailed, match="`x` of the signature `double` is of unknown rank"):
        loaded(str(folder), signature="double")
    with pytest.raises(UsageError, match="x float32 of unknown rank to twice"):
        loaded(str(folder))


def test_a_graph_with_more_tags_than_serving_looks_for_is_refused(sources: Path, tmp_path: Path) -> None:
    """It loaded, and then every conversion failed by a layer that was said to be at fault."""
    folder = _saved_model_changed(sources / "two/1", tmp_path, tags=("serve", "gpu"))
    with pytest.raises(ModelFailed, match=r"tags \[\['gpu', 'serve'\]\]") as refused:
        loaded(str(folder), signature="count")
    assert "tf.saved_model.load(" in refused.value.hint


def _saved_model_changed(source: Path, into: Path, *, tags: tuple[str, ...] = ()) -> Path:
    """A copy whose signature `double` takes any rank, with more tags if any are given."""
    from tensorflow.core.protobuf import saved_model_pb2

    copy = Path(shutil.copytree(source, into / "changed"))
    content = saved_model_pb2.SavedModel.FromString((copy / "saved_model.pb").read_bytes())
    shape = content.meta_graphs[0].signature_def["double"].inputs["x"].tensor_shape
    shape.Clear()
    shape.unknown_rank = True
    if tags:
        content.meta_graphs[0].meta_info_def.tags[:] = tags
    (copy / "saved_model.pb").write_bytes(content.SerializeToString())
    return copy


def test_of_signatures_without_a_usual_one_none_is_guessed() -> None:
    with pytest.raises(UsageError, match="has 2 signatures") as refused:
        loaded("two")
    assert "`double` (x float32 [?, 3] to twice float32 [?, 3])" in refused.value.problem
    with pytest.raises(UsageError, match="has no such signature"):
        loaded("two", signature="triple")
    with pytest.raises(UsageError, match="a Keras model has no signatures"):
        loaded("small.keras", signature="serving_default")


@pytest.mark.parametrize(
    ("source", "asked", "complaint"),
    [
        ("builders.py:one_number", {}, r"output `mean` is of shape \[\] for a batch of 64"),
        ("builders.py:nested", {"ranges": {"words_2": (0.0, 99.0)}}, "does not answer the samples"),
    ],
)
def test_a_model_that_cannot_be_compared_is_refused(
    source: str, asked: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelFailed, match=complaint):
        taken(source, tmp_path, **asked)


@pytest.mark.parametrize(
    ("source", "asked", "complaint", "mend"),
    [
        ("cut.keras", {}, "cut short or damaged", "copied or saved again"),
        ("graph.pb", {}, "is not a model", "frozen graph"),
        ("empty", {}, "is not a SavedModel: it holds nothing", "SavedModel folder"),
        ("smal.keras", {}, "nothing at that path", "did you mean `small.keras`?"),
        ("builders.py", {}, "does not say what builds the model", "builders.py:build"),
        ("no_such_module:build", {}, "no module called no_such_module", "installed"),
        ("small.keras", {"name": "a b"}, "'a b' cannot be the name", "--name"),
        ("small.keras", {"name": "digits"}, "a model called digits already", "--name"),
        ("small.keras", {"count": 1}, "--count 1", "2 or more"),
        ("small.keras", {"custom_objects": ("my_layers",)}, "names no object", "module:Class"),
        ("small.keras", {"samples": Path("absent.npz")}, "nothing at that path", ".npz"),
        ("small.keras", {"beside": (Path("absent.tflite"),)}, "no such file", "correct"),
        ("small.keras", {"beside": (Path("builders.py"),)}, "not a .tflite file", "another"),
    ],
)
def test_what_is_no_model_is_refused_before_anything_is_loaded(
    source: str, asked: dict[str, object], complaint: str, mend: str
) -> None:
    with pytest.raises(UsageError, match=complaint) as refused:
        adopted(source, Asked(**asked), Config())  # type: ignore[arg-type]  # as the test gives them
    assert mend in refused.value.hint


def test_labels_need_samples_and_scores(tmp_path: Path, sources: Path) -> None:
    with pytest.raises(UsageError, match="--labels without --samples"):
        taken("small.keras", tmp_path, labels=True)
    np.savez(tmp_path / "old.npz", signal=np.ones((4, 5), np.float32), labels=np.zeros(4, np.int64))
    with pytest.raises(UsageError, match="no output of the model is known to score classes"):
        taken("old.h5", tmp_path / "x", samples=tmp_path / "old.npz", labels=True)
