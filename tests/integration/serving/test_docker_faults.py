"""The Docker engine against a real daemon and images that misbehave: the right words, in time, and nothing left."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.artifact import Artifact
from pipeline.core.errors import EnvironmentProblem, TargetFailed
from pipeline.core.progress import Progress
from serving.runtime import Server
from tests.unit.serving.conftest import version_folder

# Of 30 s that a wait may take, so a busy machine has its share.
ENDED_EARLY_SECONDS = 20.0

pytestmark = pytest.mark.usefixtures("no_container_left")


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return version_folder(tmp_path / "store", 1)


def server(image: str, *, ready: float = 30, memory_mb: int = 256, rest_port: int = 0) -> Server:
    return Server(
        model_name="half",
        engine="docker",
        image=image,
        memory_mb=memory_mb,
        ready_within_seconds=ready,
        rest_port=rest_port,
    )


def failure(settings: Server, artifact: Artifact, scratch: Path) -> tuple[TargetFailed, float]:
    """What loading the artifact raises, and after how many seconds."""
    with settings.boot(scratch) as session:
        started = time.monotonic()
        with pytest.raises(TargetFailed) as caught, session.load(artifact, "rest"):
            pass
        return caught.value, time.monotonic() - started


def test_an_image_that_exits_at_once_ends_the_wait_with_its_last_words(
    image_that_runs: Callable[[str], str], artifact: Artifact, tmp_path: Path
) -> None:
    """A container removed before its log was read leaves the user with nothing but a time-out."""
    image = image_that_runs("echo cannot read the model; exit 3")
    error, seconds = failure(server(image), artifact, tmp_path / "s")
    assert seconds < ENDED_EARLY_SECONDS
    assert "exit code 3" in error.problem
    assert "cannot read the model" in error.problem
    assert (tmp_path / "s/server.log").read_text() == "cannot read the model\n"


def test_an_illegal_instruction_is_put_down_to_the_processor(
    image_that_runs: Callable[[str], str], artifact: Artifact, tmp_path: Path
) -> None:
    """The official image does not run without AVX, and says nothing but "Illegal instruction"."""
    error, _ = failure(server(image_that_runs("exit 132")), artifact, tmp_path / "s")
    assert "SIGILL" in error.problem
    assert "AVX" in error.hint


def test_an_image_that_never_gets_ready_costs_one_deadline(
    image_that_runs: Callable[[str], str], artifact: Artifact, tmp_path: Path
) -> None:
    """A wrong base path makes a server wait for ever; the pipeline must not wait with it."""
    image = image_that_runs("echo No versions of servable half found under base path; sleep 600")
    error, seconds = failure(server(image, ready=2), artifact, tmp_path / "s")
    assert 2 <= seconds < ENDED_EARLY_SECONDS
    assert "not available within 2 s" in error.problem
    assert "base path" in error.hint


def test_a_container_killed_for_memory_says_so(
    image_that_runs: Callable[[str], str], artifact: Artifact, tmp_path: Path
) -> None:
    """137 alone tells few people that a limit was too low."""
    image = image_that_runs("exec tail /dev/zero")
    error, seconds = failure(server(image, memory_mb=32, ready=120), artifact, tmp_path / "s")
    assert seconds < 60
    # The daemon hears of the exit and of its reason on two ways, and on a busy machine may never join them to
    # "out of memory"; so the mend must not depend on it.
    assert "killed by SIGKILL" in error.problem
    assert "memory limit" in error.hint


def test_a_container_killed_while_it_serves_is_noticed(
    image_that_runs: Callable[[str], str], artifact: Artifact, tmp_path: Path
) -> None:
    """TFX asks a container for its state only until it runs, and then waits out the whole deadline."""
    image = image_that_runs("sleep 1; exit 9")
    error, seconds = failure(server(image), artifact, tmp_path / "s")
    assert seconds < ENDED_EARLY_SECONDS
    assert "exit code 9" in error.problem


def test_a_port_that_is_taken_is_named(image_that_runs: Callable[[str], str], tmp_path: Path) -> None:
    """The daemon's own message names neither the remedy nor our setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(EnvironmentProblem, match=str(port)) as caught,
            server(image_that_runs("sleep 600"), rest_port=port).boot(tmp_path / "s"),
        ):
            pass
    assert "holds the port" in caught.value.hint


def test_an_image_without_a_server_is_told_apart(base_image: str, tmp_path: Path) -> None:
    """Naming the wrong image is an easy mistake, and Docker's own message speaks of OCI runtimes."""
    with (
        pytest.raises(EnvironmentProblem, match="could not start") as caught,
        server(base_image).boot(tmp_path / "s"),
    ):
        pass
    assert "no model server" in caught.value.hint


def test_an_image_that_is_nowhere_is_named_with_the_mend(docker_client: object, tmp_path: Path) -> None:
    """Without a network this is the first thing that a new user meets."""
    events: list[Progress] = []
    settings = Server(model_name="half", engine="docker", image="tripoint/nowhere:0", observer=events.append)
    with (
        pytest.raises(EnvironmentProblem, match="tripoint/nowhere:0 is not here and cannot be pulled") as caught,
        settings.boot(tmp_path / "s"),
    ):
        pass
    assert "--engine embedded" in caught.value.hint
    assert events[0].message == "pulling tripoint/nowhere:0"


def test_an_image_for_another_processor_is_refused_before_it_starts(base_image: str, tmp_path: Path) -> None:
    """On arm64 the official image fails with "exec format error" deep in the log, if it starts at all."""
    settings = Server(model_name="half", engine="docker", image=base_image, platform="linux/s390x")
    with pytest.raises(EnvironmentProblem, match="linux/s390x is wanted") as caught, settings.boot(tmp_path / "s"):
        pass
    assert "serving.image" in caught.value.hint


def test_auto_passes_docker_over_and_says_why(docker_client: object) -> None:
    """A report that does not say which server ran proves nothing about the one in production."""
    choice = Server(model_name="half", engine="auto", image="tripoint/nowhere:0").choice()
    assert choice.engine.name in ("native", "embedded")
    assert "not docker: the image tripoint/nowhere:0 is not here and cannot be pulled" in choice.why


def test_the_container_is_confined(
    docker_client: object, image_that_runs: Callable[[str], str], tmp_path: Path
) -> None:
    """A model server that anybody on the network can reach, or that can write to the store, is a hole."""
    from docker import DockerClient

    assert isinstance(docker_client, DockerClient)
    with server(image_that_runs("sleep 600")).boot(tmp_path / "s") as session:
        name = session.server.container_name  # type: ignore[attr-defined]  # only the Docker engine's has one
        facts = docker_client.containers.get(name).attrs
    host = facts["HostConfig"]
    assert {binding["HostIp"] for ports in host["PortBindings"].values() for binding in ports} == {"127.0.0.1"}
    assert set(host["Binds"]) == {f"{tmp_path}/s/models/half:/models/half:ro,z", f"{tmp_path}/s/config:/config:ro,z"}
    assert host["Memory"] == host["MemorySwap"] == 256 * 1024 * 1024
    assert host["AutoRemove"] is False
    assert not facts["Config"]["User"].startswith("0")


def test_a_container_whose_daemon_forgot_it_is_reported(
    docker_client: object, image_that_runs: Callable[[str], str], artifact: Artifact, tmp_path: Path
) -> None:
    """`docker rm -f` by somebody else must not look like a time-out."""
    from docker import DockerClient

    assert isinstance(docker_client, DockerClient)
    with server(image_that_runs("sleep 600")).boot(tmp_path / "s") as session:
        container = docker_client.containers.get(session.server.container_name)  # type: ignore[attr-defined]  # as above
        remover = threading.Timer(0.5, container.remove, kwargs={"force": True})
        remover.start()
        with (
            pytest.raises(TargetFailed, match=r"somebody removed the container|killed by SIGKILL"),
            session.load(artifact, "rest"),
        ):
            pass
        with contextlib.suppress(RuntimeError):
            remover.join()
