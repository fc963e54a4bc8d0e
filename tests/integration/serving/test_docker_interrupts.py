"""Ctrl-C, SIGTERM and SIGKILL in each phase of a container's life: nothing stays behind, or the sweep finds it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.engines.docker_sweep import RUN_LABEL, sweep

pytestmark = pytest.mark.usefixtures("no_container_left")

# What the command line does: SIGTERM unwinds the blocks, too. Each phase is told on standard output.
_DRIVER = """
import signal, sys
from pathlib import Path

def stop(*_):
    raise SystemExit(143)

signal.signal(signal.SIGTERM, stop)

def tell(event):
    print(event.message, flush=True)

from serving.runtime import Server
from tests.unit.serving.conftest import version_folder

scratch = Path(sys.argv[1])
server = Server(model_name="half", engine="docker", image=sys.argv[2], observer=tell, ready_within_seconds=60)
with server.boot(scratch / "s") as session:
    print("booted", flush=True)
    with session.load(version_folder(scratch / "store", 1), "rest"):
        pass
"""


@contextmanager
def driver(tmp_path: Path, image: str, *, until: str, repository: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the Docker engine and has come as far as the line `until`."""
    command = [sys.executable, "-c", _DRIVER, str(tmp_path), image]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=repository) as process:
        try:
            assert process.stdout is not None
            assert any(until in line for line in process.stdout)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_no_container_is_left_when_the_wait_for_readiness_is_interrupted(
    number: signal.Signals, status: int, image_that_runs: Callable[[str], str], tmp_path: Path, repository: Path
) -> None:
    """Waiting is where people press Ctrl-C; a server left behind holds gigabytes."""
    with driver(tmp_path, image_that_runs("sleep 600"), until="booted", repository=repository) as process:
        process.send_signal(number)
        assert process.wait(20) == status


def test_a_second_ctrl_c_does_not_leave_the_container(
    image_that_runs: Callable[[str], str], tmp_path: Path, repository: Path
) -> None:
    """People press it twice, and the second one lands in the middle of the removal."""
    with driver(tmp_path, image_that_runs("sleep 600"), until="booted", repository=repository) as process:
        process.send_signal(signal.SIGINT)
        repeated = threading.Timer(0.05, process.send_signal, args=(signal.SIGINT,))
        repeated.start()
        assert process.wait(20) in (-signal.SIGINT, 1)
        repeated.join()


def test_ctrl_c_ends_a_pull_that_hangs(docker_client: object, tmp_path: Path, repository: Path) -> None:
    """A registry behind a firewall does not refuse, it is silent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        image = f"127.0.0.1:{silent.getsockname()[1]}/nothing:1"
        with driver(tmp_path, image, until="pulling", repository=repository) as process:
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == -signal.SIGINT


def test_the_sweep_removes_what_a_killed_process_left_and_nothing_else(
    docker_client: object, image_that_runs: Callable[[str], str], tmp_path: Path, repository: Path
) -> None:
    """Nothing can be tidied up after SIGKILL, so somebody must come by later, without stopping another run's server."""
    from docker import DockerClient

    assert isinstance(docker_client, DockerClient)

    def ours() -> set[str]:
        listed = docker_client.containers.list(all=True, filters={"label": RUN_LABEL}, ignore_removed=True)
        return {str(one.name) for one in listed if str(one.name).startswith("tripoint-half-")}

    image = image_that_runs("sleep 600")
    with driver(tmp_path / "a", image, until="booted", repository=repository) as killed:
        (left,) = ours()
        killed.kill()
        killed.wait(10)
        with driver(tmp_path / "b", image, until="booted", repository=repository) as alive:
            (other,) = ours() - {left}
            assert left in sweep()
            assert ours() == {other}
            alive.send_signal(signal.SIGINT)
            alive.wait(20)
    assert ours() == set()
