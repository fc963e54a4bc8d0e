"""The native engine with a stand-in binary that takes TensorFlow Serving's flags."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.artifact import Artifact
from pipeline.core.errors import EnvironmentProblem, TargetFailed
from serving.runtime import Server
from tests.unit.serving.conftest import STAND_IN


@pytest.fixture
def binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path) -> Path:
    """A `tensorflow_model_server` on the PATH."""
    program = tmp_path / "bin/tensorflow_model_server"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo "TensorFlow ModelServer: 2.21.0-rc1"; exit; fi\n'
        f'PYTHONPATH={repository} exec {sys.executable} {STAND_IN} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return program


def test_the_installed_binary_serves_on_ports_that_were_free(binary: Path, artifact: Artifact, tmp_path: Path) -> None:
    """To it port 0 means off, so the system cannot be left to choose."""
    samples = {"x": np.ones((2, 3), np.float32)}
    with Server(model_name="half", engine="native").boot(tmp_path / "s") as session:
        for protocol in ("rest", "grpc"):
            with session.load(artifact, protocol) as runner:
                np.testing.assert_array_equal(runner.run(samples, batch_size=2).outputs["y"], samples["x"] / 2 + 2)
                assert (runner.info.runtime, runner.info.version) == ("TensorFlow Serving", "2.21.0-rc1")


def test_auto_prefers_the_binary_to_the_embedded_server(
    binary: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without Docker, TensorFlow Serving itself proves more than its peer."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    choice = Server(model_name="half").choice()
    assert choice.engine.name == "native"
    assert choice.why.startswith("not docker: no Docker daemon")


def test_a_port_that_is_taken_is_in_the_message(binary: Path, artifact: Artifact, tmp_path: Path) -> None:
    """The binary ends with a line in its log; without it there is only an exit code."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Server(model_name="half", engine="native", rest_port=taken.getsockname()[1])
        with (
            settings.boot(tmp_path / "s") as session,
            pytest.raises(TargetFailed, match="Address already in use") as caught,
            session.load(artifact, "rest"),
        ):
            pass
    assert "holds the port" in caught.value.hint


def test_without_a_binary_the_engine_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`doctor` and the report say what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    server = Server(model_name="half", engine="native")
    assert "tensorflow-model-server" in (server.missing() or "")
    with pytest.raises(EnvironmentProblem, match="no tensorflow_model_server on the PATH"), server.boot(tmp_path / "s"):
        pass
