"""Every kind of source loads and answers, and what does not says why, with a mend."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.adopting import Asked, adopted
from pipeline.config import Config
from pipeline.core.errors import ModelFailed, UsageError
from pipeline.core.progress import nobody
from pipeline.foreign import Foreign, load
from pipeline.foreign_keras import kept_model
from pipeline.golden import GOLDEN_FILE, load_tensors
from pipeline.golden import load as load_golden
from pipeline.store import MANIFEST
from pipeline.taking_in import KERAS_FILE, REPRESENTATIVE_FILE, Facts, take_in
from tests.integration.pipeline.foreign_models import write_all

# Keras, tf-keras and TensorFlow warn in their own code, of NumPy's changes and of each other's; nothing of it is ours.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign")
    write_all(folder)
    return folder


@pytest.fixture(autouse=True)
def _in_there(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sources)
    monkeypatch.syspath_prepend(str(sources))


def loaded(source: str, **asked: object) -> Foreign:
    return load(adopted(source, Asked(**asked), Config()))  # type: ignore[arg-type]  # as the test gives them


def taken(source: str, into: Path, **asked: object) -> Facts:
    model = adopted(source, Asked(**asked), Config())  # type: ignore[arg-type]  # as the test gives them
    return take_in(model, into, input_checks=True, representative_samples=20, observer=nobody)


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


def _taken_as_both(source: str, into: Path) -> list[Facts]:
    """The Keras model, and the SavedModel that was made of it, which says less of itself."""
    first = taken(source, into / "keras")
    return [first, taken(str(into / "keras" / "saved_model"), into / "saved_model", name="other")]


def test_floats_that_the_model_makes_indices_of_are_indices(tmp_path: Path) -> None:
    """Of -1 to 1 each is word 0 or the last: every comparison of a text model would have been of one word."""
    for facts in _taken_as_both("builders.py:tokens", tmp_path):
        assert "ids [20] whole numbers 0 to 999 (the rows of a table of 1000); seed" in facts["samples"]
    for kind in ("keras", "saved_model"):
        ids = load_golden(tmp_path / kind / GOLDEN_FILE).inputs["ids"]
        assert ids.dtype == np.float32
        assert len(np.unique(ids)) > 500


def test_a_model_that_takes_only_its_vocabulary_is_taken_in_without_samples(tmp_path: Path) -> None:
    """Its layers refuse all else: it could not be adopted without samples."""
    for facts in _taken_as_both("builders.py:tabular", tmp_path):
        said = facts["samples"]
        assert "city [1] keys of a lookup table of 2 only" in said
        assert "year [1] keys of a lookup table of 2 only" in said
        assert "age [1] 0 to 88.5 (bins from 18 to 65)" in said
        assert "kind [1] whole numbers 0 to 3 (" in said
        assert facts["notes"] == []
    for kind in ("keras", "saved_model"):
        inputs = load_golden(tmp_path / kind / GOLDEN_FILE).inputs
        assert set(inputs["city"].ravel()) == {b"Rome", b"Bern"}
        assert set(inputs["year"].ravel()) == {1990, 2005}
        assert inputs["income"][:, 0].min() > 30_000
        assert np.ptp(inputs["income"][:, 1]) < 0.41


def test_a_length_that_convolutions_leave_something_of_is_found(tmp_path: Path) -> None:
    for facts in _taken_as_both("builders.py:unpadded", tmp_path):
        assert "x [128, 2] -1 to 1; seed 0; open dimensions became 128" in facts["samples"]


def test_operations_that_cannot_be_looked_at_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a text model would be asked one word, as before, and nobody would know why."""

    def broken(function: object) -> None:
        raise ValueError(f"cannot inline {type(function).__name__}")

    monkeypatch.setattr("export.known_inputs.known_values", broken)
    (note,) = taken("builders.py:tokens", tmp_path)["notes"]
    assert "ValueError: cannot inline ConcreteFunction): values were made up from their types alone" in note


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


def test_samples_that_influence_each_other_are_found_out(tmp_path: Path) -> None:
    (why,) = taken("builders.py:among_others", tmp_path)["unrepeatable"].values()
    assert "in a batch with others" in why


def test_made_up_samples_are_none_of_which_a_model_answers_grown_rounding_errors(tmp_path: Path) -> None:
    """Of these, every runtime's answers differ from the model's by percents, and a sound file would fail everywhere."""
    facts = taken("builders.py:wild", tmp_path)
    assert "frames [20, 6, 6, 1] -10 to 10; seed" in facts["samples"]
    assert "0 to 255 passed over, where rounding alone changes the answers" in facts["samples"]
    assert not facts["notes"]


def test_a_range_asked_for_in_which_rounding_grows_is_kept_and_said(tmp_path: Path) -> None:
    facts = taken("builders.py:logistic", tmp_path, ranges={"x": (-1.0, 1.0)})
    assert "x [256] -1 to 1; seed" in facts["samples"]
    assert "rounding alone grows in it" in " ".join(facts["notes"])


def test_quantization_learns_from_as_many_made_up_samples_as_it_may(tmp_path: Path) -> None:
    """They cost nothing; ranges taken from few are left by others, and single values of int8 would be cut off."""
    taken("builders.py:nested", tmp_path, count=5)
    learned = load_tensors(tmp_path / REPRESENTATIVE_FILE)
    assert {len(array) for array in learned.values()} == {20}


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


def test_custom_code_is_found_where_it_is_named(tmp_path: Path) -> None:
    facts = taken("custom.keras", tmp_path, custom_objects=("my_layers:Shifted",))
    golden = load_golden(tmp_path / GOLDEN_FILE)
    (answers,) = golden.reference.values()
    np.testing.assert_allclose(answers, golden.inputs["x"] + 1, rtol=1e-6)
    assert facts["summary"] == "adopted from custom.keras"


def test_a_lambda_is_run_only_with_trust(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match=r"lambda\.keras does not load") as refused:
        loaded("lambda.keras")
    assert "--trust" in refused.value.hint
    assert taken("lambda.keras", tmp_path, trust=True)["test_samples"] == 64


def test_a_folder_called_as_one_of_our_packages_is_the_users(sources: Path, tmp_path: Path) -> None:
    """`models/` beside tripoint.toml is where most people keep theirs; Python knows ours by that name already."""
    (sources / "models").mkdir()
    build = "import keras\n\n\ndef build():\n    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])\n"
    for name in ("mine_alone", "penguins"):
        (sources / "models" / f"{name}.py").write_text(build)
        assert taken(f"models.{name}:build", tmp_path / name)["test_samples"] == 64


@pytest.mark.parametrize("source", ["lambda_ops.keras", "lambda_tf.keras", "lambda_k.h5"])
def test_the_code_of_a_lambda_finds_what_is_usually_imported(source: str, tmp_path: Path) -> None:
    """A file keeps a Lambda's code without the imports around it; a Siamese net of any tutorial would be refused."""
    taken(source, tmp_path, trust=True)
    golden = load_golden(tmp_path / GOLDEN_FILE)
    (answers,) = golden.reference.values()
    x = next(iter(golden.inputs.values()))
    if source == "lambda_ops.keras":
        want = np.square(golden.inputs["left"] - golden.inputs["right"]).sum(1, keepdims=True)
    elif source == "lambda_tf.keras":
        want = x.reshape(-1, 4, 4, 2, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 8, 8, 1)
    else:
        want = x.sum(1, keepdims=True)
    np.testing.assert_allclose(answers, want, rtol=1e-6)


@pytest.mark.parametrize("source", ["lambda_own.keras", "lambda_own_shape.keras"])
def test_a_name_of_a_lambdas_own_is_asked_for_and_taken_where_it_is_given(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where Keras looks names up; another test of this process may have given this one.
    monkeypatch.delattr("keras.src.utils.python_utils.own_scale", raising=False)
    with pytest.raises(ModelFailed) as refused:
        taken(source, tmp_path / "without", trust=True)
    assert "a Lambda layer uses `own_scale`" in refused.value.hint
    taken(source, tmp_path, trust=True, custom_objects=("own_names:own_scale",))
    golden = load_golden(tmp_path / GOLDEN_FILE)
    np.testing.assert_allclose(next(iter(golden.reference.values())), golden.inputs["x"] * 3, rtol=1e-6)


def test_what_was_adopted_loads_again_from_the_store_with_its_code(tmp_path: Path) -> None:
    """The search for a cause would break off, with a message of Keras's about a class that the user had named."""
    for source, asked in (
        ("custom.keras", {"custom_objects": ("my_layers:Shifted",)}),
        ("lambda_ops.keras", {"trust": True}),
    ):
        facts = taken(source, tmp_path / source, **asked)
        (tmp_path / source / MANIFEST).write_text(json.dumps({"facts": facts}))
        assert kept_model(tmp_path / source / KERAS_FILE).inputs


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
        ("builders.py:needs", {}, "raised TypeError", "without arguments"),
        ("builders.py:no_model", {}, "returned a builtins.int", "a model of Keras 3 or tf-keras"),
        ("builders.py:absent", {}, "has no `absent`", "after the colon"),
    ],
)
def test_what_does_not_load_says_why_and_what_would_help(
    source: str, asked: dict[str, object], complaint: str, mend: str, sources: Path
) -> None:
    (sources / "raising.py").write_text("1 / 0\n")
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
