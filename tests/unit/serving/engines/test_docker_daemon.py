"""Where the daemon is, and the words for each way not to reach it."""

from __future__ import annotations

import multiprocessing
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.core.errors import EnvironmentProblem
from serving.engines.docker_daemon import connected, find_daemon, peeking


def test_a_socket_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bare "connection refused" in a traceback sends people looking in the wrong place."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EnvironmentProblem, match=r"none\.sock") as caught:
        find_daemon()
    assert "scripts/docker-daemon.sh" in caught.value.hint


def test_a_socket_without_permission_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most common first failure on Linux."""
    # Not pytest's folder: that is open to its owner alone, and the socket is to be seen and not used.
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        path = Path(folder) / "docker.sock"
        path.parent.chmod(0o755)
        server.bind(str(path))
        path.chmod(0)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        problem = as_nobody(find_daemon)
    assert "may not be used by this user" in problem
    assert "usermod -aG docker" in problem


def test_a_folder_that_is_closed_to_this_user_holds_no_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Podman's folder is closed to all but root; looking into it must not end in a traceback."""
    (tmp_path / "docker.sock").touch()
    tmp_path.chmod(0o700)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "Docker daemon" in as_nobody(find_daemon)


def as_nobody(function: Callable[[], object]) -> str:
    """Problem and hint that the function raises in a child process without root's rights."""
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def child() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setuid(65534)
        try:
            function()
        except EnvironmentProblem as problem:
            sender.send(f"{problem.problem}; {problem.hint}")

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(10)
    assert process.exitcode == 0
    return str(receiver.recv())


def test_a_remote_daemon_is_published_on_by_the_address_that_we_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loopback is not ours, and all of its interfaces are too many."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.5:2375")
    endpoint = find_daemon()
    assert (endpoint.shares_files, endpoint.bind_ip) == (False, "127.0.0.5")


def test_a_daemon_behind_ssh_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ports would open where nobody can reach them, and the wait would run out."""
    monkeypatch.setenv("DOCKER_HOST", "ssh://somebody@example.org")
    with pytest.raises(EnvironmentProblem, match="ports open elsewhere"):
        find_daemon()


def test_a_daemon_that_does_not_answer_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that crashed leaves its socket behind."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        with (
            pytest.raises(EnvironmentProblem, match="does not answer"),
            connected(find_daemon(), call_seconds=0.3),
        ):
            pass


def test_a_socket_that_a_killed_daemon_left_behind_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its file looks as if Docker were there."""
    left = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(left))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{left}")
    with (
        pytest.raises(EnvironmentProblem, match="nobody answers at unix://"),
        connected(find_daemon(), call_seconds=1.0),
    ):
        pass


class _FallsSilent(BaseHTTPRequestHandler):
    """Says which version of the API it has, and nothing else before it is released."""

    released = threading.Event()

    def do_GET(self) -> None:
        if not self.path.endswith("/version"):
            self.released.wait(10)
        body = b'{"ApiVersion": "1.44"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_daemon_that_falls_silent_is_told_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that starts containers for others, or is short of memory, answered the first call and not the next."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _FallsSilent) as daemon:
        threading.Thread(target=daemon.serve_forever).start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{daemon.server_port}")
        try:
            with (
                pytest.raises(EnvironmentProblem, match="does not answer"),
                peeking(find_daemon(), call_seconds=0.3) as client,
            ):
                client.images.get("tensorflow/serving")
        finally:
            _FallsSilent.released.set()
            daemon.shutdown()
