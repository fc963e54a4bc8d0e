"""`--after LAYER`: the part of a model behind a layer is taken in, on real samples, and belongs to the whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import config as configuration
from pipeline import main_job, model_files, preflight_job
from pipeline.adopting import Asked, adopt, adopted
from pipeline.adoption import Adopted
from pipeline.core.errors import ModelFailed, UsageError
from pipeline.core.progress import nobody
from pipeline.golden import GOLDEN_FILE
from pipeline.golden import load as load_golden
from pipeline.taking_in import Facts
from tests.integration.pipeline.foreign.taking import NOT_OURS, taken
from tests.integration.pipeline.text_models import write_text_models, write_unsaved

pytestmark = NOT_OURS


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    write_text_models(folder)
    return folder


@pytest.fixture(autouse=True)
def _in_there(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sources)
    monkeypatch.syspath_prepend(str(sources))


@pytest.fixture(scope="module")
def part(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Facts]:
    """What was left of `reviews.keras` behind `vectorize`, and the facts about it."""
    into = tmp_path_factory.mktemp("part")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(sources)
        return into, taken("reviews.keras", into, after=("vectorize",), samples=Path("sentences.npz"), labels=True)


def front_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "front.json").read_text())
    return content


def test_the_part_behind_takes_what_the_layer_gives_for_real_samples(part: tuple[Path, Facts]) -> None:
    """Made-up ids would be compared instead: no sentence has such, and accuracy would say nothing."""
    import keras
    import tensorflow as tf

    folder, facts = part
    inputs = {one["name"]: (one["dtype"], one["shape"]) for one in facts["signature"]["inputs"]}
    assert inputs == {"vectorize": ("int64", [None, 16]), "size": ("float32", [None, 2])}
    assert facts["output_names"] == ["kind"]
    whole = keras.models.load_model("reviews.keras")
    held = np.load("sentences.npz")
    ids = {tuple(row) for row in np.asarray(whole.get_layer("vectorize")(tf.constant(held["text"])))}
    kept = load_golden(folder / GOLDEN_FILE)
    assert kept.inputs["vectorize"].dtype == np.int64
    assert {tuple(row) for row in kept.inputs["vectorize"]} <= ids
    assert {tuple(row) for row in kept.inputs["size"]} <= {tuple(row) for row in held["size"]}
    asked = [at for at, row in enumerate(held["size"]) if tuple(row) in {tuple(one) for one in kept.inputs["size"]}]
    want = whole.predict({"text": tf.constant(held["text"]), "size": held["size"]}, verbose=0)["kind"]
    known = {tuple(np.round(row, 5)) for row in want[asked]}
    assert {tuple(np.round(row, 5)) for row in kept.reference["kind"]} <= known
    assert facts["accuracy"] is not None
    assert "of the 601 in sentences.npz; sent through the front part, up to `vectorize`" in facts["samples"]


def test_the_report_says_that_it_is_about_a_part(part: tuple[Path, Facts]) -> None:
    _, facts = part
    assert facts["summary"] == "adopted from reviews.keras, the part behind `vectorize`"
    about, proven = facts["notes"]
    assert "What was verified is the part of the model behind `vectorize`" in about
    assert "`vectorize`, with what is in front of it (text), stays in the app" in about
    assert proven == "The front part and then this part answer exactly as the whole model does, over all 256 samples."


def test_the_app_gets_the_vocabulary_the_settings_and_examples_of_what_stays_with_it(part: tuple[Path, Facts]) -> None:
    import keras
    import tensorflow as tf

    front = front_of(part[0])
    layer = keras.models.load_model("reviews.keras").get_layer("vectorize")
    (described,) = front["layers"]
    assert (described["kind"], described["takes"]) == ("TextVectorization", ["text"])
    assert described["vocabulary"] == layer.get_vocabulary()
    assert described["settings"]["standardize"] == "lower_and_strip_punctuation"
    assert described["settings"]["output_sequence_length"] == 16
    assert [one["name"] for one in front["inputs"]] == ["text"]
    examples = front["examples"]
    assert len(examples) == 8
    for example in examples:
        want = layer(tf.constant([example["takes"]["text"]])).numpy()[0].tolist()
        assert example["gives"]["vectorize"] == want


def test_the_keras_file_is_the_part_so_that_explaining_finds_its_layers(part: tuple[Path, Facts]) -> None:
    import keras

    model = keras.models.load_model(part[0] / "model.keras")
    kept = load_golden(part[0] / GOLDEN_FILE)
    answers = model.predict([kept.inputs["vectorize"], kept.inputs["size"]], verbose=0)
    np.testing.assert_allclose(answers["kind"], kept.reference["kind"], atol=1e-6)
    assert "vectorize" not in [layer.name for layer in model.layers if type(layer).__name__ != "InputLayer"]


def test_a_part_that_cannot_be_saved_again_is_taken_in_all_the_same_and_that_is_said(tmp_path: Path) -> None:
    """Code of other people's that cannot write its own settings would end in a traceback."""
    write_unsaved(tmp_path)
    (tmp_path / "in").mkdir()
    facts = taken(
        str(tmp_path / "unsaved.keras"), tmp_path / "in", after=("first",), custom_objects=("others:Unsaved",)
    )
    assert "cannot be saved as a .keras file" in facts["notes"][2]
    assert "no settings" in facts["notes"][2]
    assert not (tmp_path / "in/model.keras").exists()


@pytest.mark.parametrize(
    ("source", "after", "dtype", "sizes"),
    [
        ("others.py:sequential", "bag", "float32", [None, 5]),
        ("others.py:sequential", "hidden", "float32", [None, 3]),
        ("others.py:any_length", "vectorize", "int64", [None, None]),
        ("others.py:any_length", "mean", "float32", [None, 4]),
        ("others.py:of_tf_keras", "vectorize", "int64", [None, 8]),
    ],
)
def test_models_of_every_style_are_cut(
    source: str, after: str, dtype: str, sizes: list[int | None], tmp_path: Path
) -> None:
    facts = taken(source, tmp_path, after=(after,), count=20)
    (given,) = facts["signature"]["inputs"]
    assert (given["name"], given["dtype"], given["shape"]) == (after, dtype, sizes)
    assert not facts["unrepeatable"]


def test_parts_that_do_not_answer_as_the_whole_are_refused(tmp_path: Path) -> None:
    """Every target would agree with a part that is not the model: half of its answers, here."""
    with pytest.raises(ModelFailed, match="do not answer as the whole model does: output `second` differs by up to"):
        taken("others.py:more_than_its_layers", tmp_path, after=("first",))


def test_an_output_that_the_model_does_not_repeat_is_left_out_of_the_proof_and_said(tmp_path: Path) -> None:
    facts = taken("others.py:half_random", tmp_path, after=("hidden",))
    assert facts["unrepeatable"].keys() == {"noise"}
    assert "exactly as the whole model does, but for `noise`, which the model itself" in facts["notes"][1]


@pytest.mark.parametrize(
    ("source", "after", "complaint", "mend"),
    [
        ("reviews.keras", "vectorise", "has no such layer", "did you mean `vectorize`?"),
        ("others.py:subclassed", "dense", "has no graph of layers", "keras.Input"),
        ("exported", "vectorize", "a SavedModel has operations, but no layers", ".keras file"),
    ],
)
def test_a_cut_that_cannot_be_is_told_so(source: str, after: str, complaint: str, mend: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=complaint) as refused:
        taken(source, tmp_path, after=(after,))
    assert mend in refused.value.hint


def test_the_part_is_deployed_known_by_its_name_and_made_anew_for_another_cut(tmp_path: Path) -> None:
    text = '[convert]\ntflite = ["float32"]\ntfjs = []\n[parity]\nbatch_sizes = [1, 5]\n'
    config = configuration.parse(text, folder=tmp_path)
    only = ("saved_model", "edge/litert")
    asked = Asked(after=("vectorize",), samples=Path("sentences.npz"), count=40)
    done = adopt("reviews.keras", asked, config, only=only)

    assert done.report.verdict.agrees, done.report.verdict.headline
    assert [row.label for row in done.report.rows] == ["saved_model float32", "edge/litert float32"]
    assert done.report.model.after == ("vectorize",)
    assert json.loads(main_job.as_json(done))["after"] == ["vectorize"]
    assert (done.release / "front.json").is_file()
    known = model_files.known("reviews", config)
    assert isinstance(known, Adopted)
    assert main_job.run(main_job.job(known, config, only=only), observer=nobody).made == ()
    # What decides whether a step is made anew.
    other, whole = (adopted("reviews.keras", Asked(after=after), config) for after in (("mean",), ()))
    assert known.ingredients()["after"] != other.ingredients()["after"] != whole.ingredients()["after"]


@pytest.mark.parametrize(
    ("source", "layer"),
    [
        ("reviews.keras", "vectorize"),
        pytest.param("others.py:sequential", "bag", marks=pytest.mark.slow),
        pytest.param("others.py:of_tf_keras", "vectorize", marks=pytest.mark.slow),
    ],
)
def test_preflight_names_the_command_for_what_a_text_layer_is_in_the_way_of(
    source: str, layer: str, tmp_path: Path
) -> None:
    """A person would be told to do the text before the model, and not that one option does it."""
    config = configuration.parse("", folder=tmp_path)
    whole = adopted(source, Asked(count=4), config)
    found = preflight_job.preflight(whole, config, quick=True, lowering=None, observer=nobody)
    assert found.after == (layer,)
    helps = {obstacle.helps for line in found.lines for obstacle in line.obstacles}
    assert all(f"`tripoint adopt {source} --after {layer}` ships the part behind" in one for one in helps)
    rest = adopted(source, Asked(count=4, after=found.after), config)
    left = preflight_job.preflight(rest, config, quick=True, lowering=None, observer=nobody)
    assert not any(line.obstacles for line in left.lines)
