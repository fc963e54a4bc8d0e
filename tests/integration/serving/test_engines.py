"""The same promise over every engine that this machine has: both doors answer what the SavedModel itself answers."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.errors import TargetFailed
from serving.runtime import Server, ServerSession
from tests.integration.serving.conftest import Exported

ENGINES = ("docker", "embedded", *(("native",) if shutil.which("tensorflow_model_server") else ()))


@pytest.fixture(scope="module", params=ENGINES)
def settings(request: pytest.FixtureRequest) -> Server:
    server = Server(model_name="shapes", engine=request.param, memory_mb=2048)
    return replace(server, image=request.getfixturevalue("serving_image")) if request.param == "docker" else server


@pytest.fixture(scope="module")
def session(settings: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerSession]:
    """One server for all tests that do not break it: each start imports TensorFlow."""
    with settings.boot(tmp_path_factory.mktemp("server") / "s") as session:
        yield session


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_server_answers_what_the_saved_model_answers(
    protocol: str, batch_size: int, exported: Exported, session: ServerSession
) -> None:
    """The whole point of the target: a difference here would be the client's fault or the server's, not the model's."""
    with session.load(exported.first, protocol) as runner:
        outputs = runner.run(exported.samples, batch_size=batch_size).outputs
    assert set(outputs) == set(exported.answers)
    np.testing.assert_array_equal(outputs["echo"].view(np.uint32), exported.answers["echo"].view(np.uint32))
    assert outputs["label"].tolist() == exported.answers["label"].tolist()
    np.testing.assert_array_equal(outputs["position"], exported.answers["position"])
    np.testing.assert_allclose(outputs["scores"], exported.answers["scores"], rtol=1e-6, atol=1e-7)


def test_the_two_doors_agree_to_the_bit(exported: Exported, session: ServerSession) -> None:
    """Text must not cost the last digit of what bytes carry."""
    finite = {name: array[1:] for name, array in exported.samples.items()}
    answers = []
    for protocol in ("rest", "grpc"):
        with session.load(exported.first, protocol) as runner:
            answers.append(runner.run(finite, batch_size=9).outputs["scores"])
    assert answers[0].tobytes() == answers[1].tobytes()


def test_another_version_takes_over_and_the_first_comes_back(exported: Exported, session: ServerSession) -> None:
    """A verdict on version 2 that came from version 1 would be worse than none."""
    finite = {name: array[1:] for name, array in exported.samples.items()}
    for artifact in (exported.first, exported.second, exported.first):
        with session.load(artifact, "grpc") as runner:
            scores = runner.run(finite, batch_size=9).outputs["scores"]
        same = np.allclose(scores, exported.answers["scores"][1:], rtol=1e-6)
        assert same == (artifact is exported.first)


def test_a_refused_request_leaves_the_server_up(exported: Exported, session: ServerSession) -> None:
    """One bad sample must read as such, and not take the other targets down."""
    wrong = {**exported.samples, "image": exported.samples["image"].reshape(10, 16)}
    for protocol in ("rest", "grpc"):
        with session.load(exported.first, protocol) as runner:
            with pytest.raises(TargetFailed):
                runner.run(wrong, batch_size=10)
            runner.run(exported.samples, batch_size=10)


def test_a_server_killed_in_the_middle_of_a_run_is_noticed_at_both_doors(
    exported: Exported, settings: Server, tmp_path: Path
) -> None:
    """The kernel kills the biggest process first, which is the server; the run must say so and end."""
    with (
        settings.boot(tmp_path / "s") as session,
        session.load(exported.first, "rest") as rest,
        session.load(exported.first, "grpc") as grpc,
    ):
        grpc.run(exported.samples, batch_size=10)
        timer = threading.Timer(0.3, _kill, args=(session,))
        timer.start()
        deadline = time.monotonic() + 30
        with pytest.raises(TargetFailed, match="killed by SIGKILL"):
            while time.monotonic() < deadline:
                rest.run(exported.samples, batch_size=1)
        timer.join()
        with pytest.raises(TargetFailed, match="killed by SIGKILL"):
            grpc.run(exported.samples, batch_size=1)


def test_a_broken_saved_model_is_refused_in_the_servers_words(
    exported: Exported, settings: Server, tmp_path: Path
) -> None:
    """A truncated file must not cost the whole deadline, nor be put down to the machine."""
    broken = tmp_path / "store/1"
    shutil.copytree(exported.first.path, broken)
    (broken / "saved_model.pb").write_bytes((broken / "saved_model.pb").read_bytes()[:100])
    started = time.monotonic()
    with (
        settings.boot(tmp_path / "s") as session,
        pytest.raises(TargetFailed, match="version 1 of shapes"),
        session.load(replace(exported.first, path=broken, digest="broken"), "rest"),
    ):
        pass
    assert time.monotonic() - started < 45


def _kill(session: ServerSession) -> None:
    """SIGKILL, as the kernel sends it."""
    server = session.server
    container = getattr(server, "container_name", None)
    if container is not None:
        with _docker() as client:
            client.containers.get(container).kill(signal=signal.SIGKILL)
    else:
        subprocess.run(["kill", "-KILL", str(server.process.pid)], check=True)  # type: ignore[attr-defined]  # a LocalServer


@contextmanager
def _docker() -> Iterator[Any]:
    import docker

    client = docker.from_env()
    try:
        yield client
    finally:
        client.close()
