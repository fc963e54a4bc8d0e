"""`tripoint tune` for real: variants made, run on LiteRT, and the smallest that is good enough left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.pipeline.project import Project


@pytest.mark.slow
def test_the_smallest_variant_within_the_budget_is_left_behind(tmp_path: Path) -> None:
    """A person would ship the file that lies there."""
    (tmp_path / "tripoint.toml").write_text("[models.mlp]\nepochs = 6\n")
    project = Project(folder=tmp_path)
    asked = ("tune", "mlp", "--format", "tflite", "--json", "-q")

    easy = project.tripoint(*asked, "--budget", "agreement>=0.9")
    assert easy.returncode == 0, easy.stdout + easy.stderr
    trials = json.loads(easy.stdout)["trials"]
    (chosen,) = [trial for trial in trials if trial["chosen"]]
    assert chosen["bytes"] == min(trial["bytes"] for trial in trials if trial["meets"])
    assert all(trial["keep_float"] == [] for trial in trials)
    (file,) = (tmp_path / "build/mlp-tuned/tflite").iterdir()
    assert file.name == f"mlp-{chosen['precision']}.tflite"
    assert (tmp_path / "build/mlp-tuned/frontier.svg").read_text().startswith("<svg")

    hard = project.tripoint(*asked, "--budget", "sqnr>=60")
    assert hard.returncode == 0, hard.stdout + hard.stderr
    trials = json.loads(hard.stdout)["trials"]
    # int8 is not good enough for that, so layers were looked at one by one.
    assert {tuple(trial["keep_float"]) for trial in trials} >= {("hidden",), ("probabilities",)}

    impossible = project.tripoint(*asked, "--budget", "sqnr>=500")
    assert impossible.returncode == 10
    assert json.loads(impossible.stdout)["without"] == ["tflite"]


def test_a_budget_that_cannot_be_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """Training for a minute first would be the wrong order."""
    done = Project(folder=tmp_path).tripoint("tune", "mlp", "--budget", "top9>=1")
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
    assert not (tmp_path / ".tripoint").exists()
