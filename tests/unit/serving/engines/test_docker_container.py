"""A container's life against a Docker client made of memory: what it is given, and what its end means."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from pipeline.core.errors import EnvironmentProblem
from serving.engines.contract import Addresses, ServedModel
from serving.engines.docker_container import Confinement, ContainerServer
from serving.engines.docker_daemon import Endpoint
from tests.unit.serving.engines.fake_docker import FakeDocker, FakeImage, api_error

LOCAL = Endpoint(url="unix:///var/run/docker.sock", shares_files=True)
REMOTE = Endpoint(url="tcp://192.0.2.7:2375", shares_files=False, bind_ip="192.0.2.7")


def container(
    client: FakeDocker,
    tmp_path: Path,
    *,
    endpoint: Endpoint = LOCAL,
    image: FakeImage | None = None,
    grpc_port: int = 0,
) -> ContainerServer:
    (tmp_path / "models/half/1").mkdir(parents=True)
    (tmp_path / "config").mkdir()
    return ContainerServer(
        client=cast("Any", client),
        endpoint=endpoint,
        image=cast("Any", image or FakeImage()),
        image_name="tensorflow/serving:2.21.0",
        confinement=Confinement(platform="linux/amd64", memory_mb=512, cpus=1.5),
        extra_flags=("--enable_batching",),
        model=ServedModel(
            name="half",
            base_path=tmp_path / "models/half",
            log=tmp_path / "server.log",
            config=tmp_path / "config",
            call_within_seconds=300.0,
            grpc_port=grpc_port,
        ),
    )


def test_the_image_sees_the_contract_of_tensorflow_serving_and_nothing_else(tmp_path: Path) -> None:
    """Any image with that entry point must work, so nothing may depend on ours."""
    client = FakeDocker()
    container(client, tmp_path, grpc_port=8500).start()
    given = client.created[0].specification
    assert given["environment"] == {"MODEL_NAME": "half", "MODEL_BASE_PATH": "/models"}
    assert given["command"] == ["--max_num_load_retries=0", "--rest_api_timeout_in_ms=301000", "--enable_batching"]
    assert given["ports"] == {"8500/tcp": ("127.0.0.1", 8500), "8501/tcp": ("127.0.0.1",)}
    assert given["volumes"] == {
        str(tmp_path / "models/half"): {"bind": "/models/half", "mode": "ro,z"},
        str(tmp_path / "config"): {"bind": "/config", "mode": "ro,z"},
    }
    assert (given["mem_limit"], given["memswap_limit"], given["nano_cpus"]) == ("512m", "512m", 1_500_000_000)
    assert given["platform"] == "linux/amd64"
    assert "auto_remove" not in given


def test_a_remote_daemon_gets_the_model_as_an_archive(tmp_path: Path) -> None:
    """A folder of this machine does not exist on the daemon's, and Docker would mount an empty one without a word."""
    client = FakeDocker()
    server = container(client, tmp_path, endpoint=REMOTE)
    assert server.addresses() is None
    server.published()
    assert client.created[0].files == ["models/half", "models/half/1", "config"]
    assert "volumes" not in client.created[0].specification
    assert server.addresses() == Addresses(grpc="192.0.2.7:48500", rest="192.0.2.7:48501")
    (tmp_path / "models/half/2").mkdir()
    server.published()
    assert client.created[1].files == ["models/half", "models/half/1", "models/half/2", "config"]
    assert client.alive == [client.created[1]]


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"Status": "running"}, None),
        ({"Status": "paused"}, None),
        ({"Status": "exited", "ExitCode": 3}, "exit code 3"),
        ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, "killed by SIGKILL, out of memory"),
        ({"Status": "dead", "ExitCode": 132}, "killed by SIGILL"),
        ({"Status": "removing"}, "somebody removed the container"),
    ],
)
def test_a_state_is_told_in_words(state: dict[str, object], sentence: str | None, tmp_path: Path) -> None:
    """Each of them wants another mend."""
    client = FakeDocker()
    server = container(client, tmp_path)
    server.start()
    client.created[0].state = state
    ended = server.ended()
    assert (ended and ended.sentence) == sentence


def test_a_daemon_that_stops_is_an_end_with_its_own_mend(tmp_path: Path) -> None:
    """Every later call would fail with "connection refused", which says nothing of Docker."""
    client = FakeDocker()
    server = container(client, tmp_path)
    server.start()
    client.gone = True
    ended = server.ended()
    assert ended is not None
    assert "daemon does not answer any more" in ended.sentence
    assert "tripoint serve --clean" in ended.mend
    with pytest.raises(EnvironmentProblem, match="could not be removed") as caught:
        server.remove()
    assert "tripoint serve --clean" in caught.value.hint


def test_the_log_is_saved_before_the_container_is_removed(tmp_path: Path) -> None:
    """The log of a container that is gone is gone."""
    client = FakeDocker()
    server = container(client, tmp_path)
    server.start()
    server.remove()
    server.remove()
    assert client.alive == []
    assert (tmp_path / "server.log").read_text() == "one line\n"


@pytest.mark.parametrize(
    ("explanation", "mend"),
    [
        ("driver failed: Bind for 127.0.0.1:8501 failed: port is already allocated", "holds the port"),
        ("listen tcp4 192.0.2.7:0: bind: cannot assign requested address", "DOCKER_HOST"),
        ("image was found but does not match the specified platform", "kind of processor"),
        ('exec: "nothing": executable file not found in $PATH', "no model server"),
        ("container init was OOM-killed (memory limit too low?)", "raise it"),
        ("no space left on device", "docker run"),
    ],
)
def test_a_refusal_comes_with_its_mend(explanation: str, mend: str, tmp_path: Path) -> None:
    """Docker's sentences name its parts, not what to do."""
    client = FakeDocker(start_error=api_error(explanation))
    with pytest.raises(EnvironmentProblem) as caught:
        container(client, tmp_path).start()
    assert explanation in caught.value.problem
    assert mend in caught.value.hint


def test_the_report_names_the_image_by_digest_and_by_its_own_labels(tmp_path: Path) -> None:
    """A tag can be moved to another image, and then the report would prove something about that one."""
    labels = {"org.opencontainers.image.title": "A server", "org.opencontainers.image.version": "9"}
    image = FakeImage(labels=labels, digests=["tensorflow/serving@sha256:abcd"])
    server = container(FakeDocker(), tmp_path, image=image)
    assert server.runtime == ("A server", "9")
    assert server.details["digest"] == "sha256:abcd"


@pytest.mark.parametrize(
    ("client", "limits"),
    [(FakeDocker(), ("512", "1.5")), (FakeDocker(cannot_limit=True), ("no limit", "no limit"))],
)
def test_the_report_tells_the_limits_that_hold(client: FakeDocker, limits: tuple[str, str], tmp_path: Path) -> None:
    """Rootless Docker drops limits on older kernels; a report that claims them explains the wrong crash."""
    server = container(client, tmp_path)
    server.start()
    assert (server.details["memory_mb"], server.details["cpus"]) == limits


def test_an_image_without_labels_is_named_by_its_reference(tmp_path: Path) -> None:
    """The official image has none."""
    assert container(FakeDocker(), tmp_path).runtime == ("tensorflow/serving", "2.21.0")
