"""A server in the foreground: the line to try works, requests are counted, and its end is told."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.artifact import Artifact
from serving.foreground import served
from serving.runtime import Server
from tests.unit.serving.conftest import StandInLauncher

SETTINGS = Server(model_name="half", engine="embedded", launcher=StandInLauncher(), ready_within_seconds=20)
SAMPLES = {"x": np.asarray([[1, 2, 3], [4, 5, 6]], np.float32)}


@pytest.mark.parametrize("width", [3, 200])
def test_the_line_to_try_is_answered_and_counted(width: int, artifact: Artifact, tmp_path: Path) -> None:
    """It is the first thing that a user pastes, so it must work as it stands, however large the model's input is."""
    example = {"x": np.zeros((2, width), np.float32)}
    with served(SETTINGS, artifact, scratch=tmp_path / "s", example=example) as model:
        before = model.request_counts()
        command = shlex.split(model.try_it)
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert answer.startswith('{"predictions": [[2.0, 2.0')
        assert before == {"OK": 0}
        assert model.request_counts() == {"OK": 1}
        assert len(model.try_it) < 600


def test_a_server_that_dies_is_told_with_its_last_words(artifact: Artifact, tmp_path: Path) -> None:
    """A prompt that goes on waiting in front of a dead server is worse than an error."""
    with served(SETTINGS, artifact, scratch=tmp_path / "s", example=SAMPLES) as model:
        assert model.failure() is None
        os.kill(int(model.server.label.rpartition(" ")[2].rstrip(")")), signal.SIGKILL)
        deadline = time.monotonic() + 5
        while (failure := model.failure()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert model.request_counts() is None
    assert "killed by SIGKILL" in failure.problem
    assert "serving half" in failure.problem
