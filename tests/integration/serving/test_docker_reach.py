"""A daemon that shares no files with us, one that is stopped under us, and what the image says of its health."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.core.errors import TargetFailed
from serving.runtime import Server
from tests.integration.serving.conftest import Exported

if TYPE_CHECKING:
    from docker import DockerClient


def test_the_image_is_healthy_once_the_model_is_there_and_not_before(
    docker_client: DockerClient, serving_image: str, exported: Exported, tmp_path: Path
) -> None:
    """An orchestrator that is told "healthy" too early sends requests to a server without a model."""
    settings = Server(model_name="shapes", engine="docker", image=serving_image, memory_mb=2048)
    with settings.boot(tmp_path / "s") as session:
        container = docker_client.containers.get(session.server.container_name)  # type: ignore[attr-defined]  # Docker's
        check = ["python3", "-S", "/app/healthcheck.py"]
        assert container.exec_run(check).exit_code == 1
        with session.load(exported.first, "rest"):
            assert container.exec_run(check).exit_code == 0


def test_a_daemon_without_our_files_serves_what_it_is_sent(
    serving_image: str, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mounting a folder on a remote daemon mounts an empty one there, and the server waits for ever."""
    with forwarded_daemon() as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        settings = Server(model_name="shapes", engine="docker", image=serving_image, memory_mb=2048)
        with settings.boot(tmp_path / "s") as session:
            for protocol in ("rest", "grpc"):
                with session.load(exported.first, protocol) as runner:
                    scores = runner.run(exported.samples, batch_size=5).outputs["scores"]
                np.testing.assert_allclose(scores, exported.answers["scores"], rtol=1e-6, atol=1e-7)
            with session.load(exported.second, "grpc") as runner:
                scores = runner.run(exported.samples, batch_size=5).outputs["scores"]
            assert not np.allclose(scores, exported.answers["scores"], equal_nan=True)


# docker-py leaves a socket open that could not be connected; it is collected here, so that no other test is blamed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_a_daemon_that_is_stopped_in_the_middle_of_a_run_is_what_the_error_names(
    serving_image: str,
    exported: Exported,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    private_daemon: PrivateDaemon,
) -> None:
    """A machine update restarts Docker; "connection refused" would send the reader after the model."""
    private_daemon.take_over(serving_image)
    monkeypatch.setenv("DOCKER_HOST", private_daemon.url)
    settings = Server(model_name="shapes", engine="docker", image=serving_image, memory_mb=2048)
    with (
        pytest.raises(TargetFailed, match="Docker daemon does not answer any more") as caught,
        settings.boot(tmp_path / "s") as session,
        session.load(exported.first, "rest") as runner,
    ):
        runner.run(exported.samples, batch_size=1)
        private_daemon.stop()
        runner.run(exported.samples, batch_size=1)
    assert "tripoint serve --clean" in caught.value.hint
    del caught
    gc.collect()


@contextmanager
def forwarded_daemon() -> Iterator[str]:
    """The local daemon behind a TCP port, so that nobody can know that it sees our files."""

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as daemon:
                daemon.connect("/var/run/docker.sock")
                back = threading.Thread(target=pump, args=(daemon, self.request))
                back.start()
                pump(self.request, daemon)
                back.join()

    def pump(source: socket.socket, target: socket.socket) -> None:
        # Either end may go first; the other pump then reads an end of file, too.
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Forward) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"tcp://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


class PrivateDaemon:
    """A second daemon with a bridge of its own, which a test may stop."""

    bridge = "tripointtest0"

    def __init__(self, root: Path) -> None:
        self._root = root
        self.url = f"unix://{root}/docker.sock"
        subprocess.run(["ip", "link", "add", self.bridge, "type", "bridge"], check=True)
        subprocess.run(["ip", "addr", "add", "172.31.248.1/24", "dev", self.bridge], check=True)
        subprocess.run(["ip", "link", "set", self.bridge, "up"], check=True)
        command = ["dockerd", "--host", self.url, "--data-root", f"{root}/data", "--exec-root", f"{root}/exec"]
        command += ["--pidfile", f"{root}/pid", "--bridge", self.bridge, "--iptables=false", "--ip6tables=false"]
        with (root / "log").open("wb") as log:
            self._process = subprocess.Popen([*command, "--ip-masq=false"], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not (root / "docker.sock").exists():
            assert time.monotonic() < deadline, (root / "log").read_text()
            time.sleep(0.1)

    def take_over(self, image: str) -> None:
        """Copy the image from the machine's own daemon."""
        import docker

        with (self._root / "image.tar").open("wb") as file:
            file.writelines(docker.from_env(timeout=300).images.get(image).save(named=image))
        with (self._root / "image.tar").open("rb") as file:
            docker.DockerClient(base_url=self.url, timeout=300).images.load(file)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def remove(self) -> None:
        self.stop()
        subprocess.run(["ip", "link", "del", self.bridge], check=True)


@pytest.fixture
def private_daemon(require: Callable[[str | None], None], tmp_path: Path) -> Iterator[PrivateDaemon]:
    missing = [name for name in ("dockerd", "ip") if shutil.which(name) is None]
    require(f"a private Docker daemon needs {missing}" if missing else None)
    require(None if os.getuid() == 0 else "only root can start a private Docker daemon")
    daemon = PrivateDaemon(tmp_path)
    try:
        yield daemon
    finally:
        daemon.remove()
