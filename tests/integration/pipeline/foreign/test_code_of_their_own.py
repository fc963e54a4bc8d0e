"""Code that a model needs and its file does not hold is found, asked for, and run only with trust."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import ModelFailed
from pipeline.foreign_keras import kept_model
from pipeline.golden import GOLDEN_FILE
from pipeline.golden import load as load_golden
from pipeline.store import MANIFEST
from pipeline.taking_in import KERAS_FILE
from tests.integration.pipeline.foreign.taking import NOT_OURS, loaded, taken

pytestmark = NOT_OURS


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
