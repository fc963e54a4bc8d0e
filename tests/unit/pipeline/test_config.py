"""tripoint.toml: a user would run with other settings than they wrote, and not know it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import config
from pipeline.core.artifact import Precision
from pipeline.core.errors import UsageError

HERE = Path("project")


def test_an_empty_file_gives_the_defaults() -> None:
    """A project without settings would not run."""
    assert config.parse("", folder=HERE) == config.Config(folder="project")


def test_the_projects_own_file_is_read(repository: Path) -> None:
    """The file that everybody copies from would be refused."""
    usual = (Precision.FLOAT32, Precision.FLOAT16, Precision.DYNAMIC, Precision.INT8)
    assert config.load(repository).convert.tflite == usual


def test_a_model_may_have_precisions_of_its_own() -> None:
    """One model that a quantizer cannot take would cost all models of the project that precision."""
    text = '[convert]\ntflite = ["float32", "int8"]\n[models.sunspots]\ntflite = ["float32"]\n[models.mlp]\ntfjs = []'
    project = config.parse(text, folder=HERE)
    assert project.of_model("sunspots").convert.tflite == (Precision.FLOAT32,)
    assert project.of_model("sunspots").convert.tfjs == project.convert.tfjs
    assert project.of_model("mlp").convert.tfjs == ()
    assert project.of_model("digits") == project


def test_paths_count_from_the_file(tmp_path: Path) -> None:
    """Running from a sub-folder would start a second store."""
    (tmp_path / "tripoint.toml").write_text('[store]\npath = "results"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert config.load(below).store_path == tmp_path / "results"


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("stoer = 1", "unknown field `stoer`", "did you mean `store`?"),
        ('[serve]\nengin = "docker"', "unknown field `engin`", "did you mean `engine`?"),
        ("[models.digits]\nepoch = 3", "unknown field `epoch`", "did you mean `epochs`?"),
        ('[serve]\nengine = "dcker"', "'dcker' - at `$.serve.engine`", "mend that value"),
        ('[convert]\ntflite = ["uint8"]', "convert.tflite = ['uint8'] cannot be", "choose from float32"),
        ('[models.digits]\ntflite = ["uint8"]', "models.digits.tflite = ['uint8'] cannot be", "choose from float32"),
        ('[convert]\ntfjs = ["int8"]', "convert.tfjs = ['int8'] cannot be", "choose from float32"),
        ("[parity]\nbatch_sizes = []", "batch_sizes = [] cannot be", "at least one"),
        ("[parity]\nbatch_sizes = [0]", "batch_sizes = [0] cannot be", "at least one"),
        ('[tolerances."tflite/int9"]\nreason = "x"', "int9", "tflite/int8"),
        ('[tolerances."tflite/int8"]\natol = 1.0', "missing required field `reason`", "mend"),
        ("folder = 'x'", "unknown key `folder`", "remove it"),
        ("=", "is not TOML", "mend the line"),
    ],
)
def test_what_cannot_be_is_refused_with_its_mend(text: str, problem: str, hint: str) -> None:
    """A misspelt key would silently do nothing."""
    with pytest.raises(UsageError) as caught:
        config.parse(text, folder=HERE)
    assert problem in caught.value.problem
    assert hint in caught.value.hint
