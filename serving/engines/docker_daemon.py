"""The Docker daemon: where it is, how to reach it, and what its refusals mean."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.core.errors import EnvironmentProblem

if TYPE_CHECKING:
    from docker import DockerClient

OTHER_ENGINE = "or use `--engine embedded`, which needs no Docker"
_START = f"start Docker (here, as root: scripts/docker-daemon.sh), {OTHER_ENGINE}"
_LOOPBACK = "127.0.0.1"
_PEEK_SECONDS = 5.0
_UNIX = "unix://"


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A daemon's address. `bind_ip` is the address of its machine that we reach, and publish ports on."""

    url: str
    shares_files: bool
    bind_ip: str = _LOOPBACK


def find_daemon() -> Endpoint:
    """The daemon that the docker command would use; no connection is made.

    DOCKER_HOST first, else the first socket that is there: Docker, rootless Docker, Docker Desktop, Podman. Raises
    EnvironmentProblem when there is none, or none that can be used.
    """
    named = os.environ.get("DOCKER_HOST")
    if named:
        return _remote(named) if not named.startswith(_UNIX) else _socket(Path(named.removeprefix(_UNIX)))
    for path in _socket_paths():
        # `Path.exists` raises where this user may not look, and Podman's folder is closed to all but root.
        if os.access(path, os.F_OK):
            return _socket(path)
    raise EnvironmentProblem(
        "no Docker daemon: DOCKER_HOST is not set and there is no socket at /var/run/docker.sock", hint=_START
    )


@contextmanager
def connected(endpoint: Endpoint, *, call_seconds: float = 10.0) -> Iterator[DockerClient]:
    """An open client; raises EnvironmentProblem when the daemon does not answer."""
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    _knock(endpoint, within_seconds=call_seconds)
    try:
        # With DOCKER_HOST, certificates and so on may be in the environment, too.
        client = (
            docker.DockerClient.from_env(timeout=call_seconds)  # type: ignore[arg-type]  # the stubs know whole seconds only
            if os.environ.get("DOCKER_HOST")
            else docker.DockerClient(base_url=endpoint.url, timeout=call_seconds)  # type: ignore[arg-type]  # likewise
        )
    except (DockerException, RequestException) as error:
        raise EnvironmentProblem(
            f"the Docker daemon at {endpoint.url} does not answer: {error}", hint=_START
        ) from error
    with closing(client):
        yield client


@contextmanager
def peeking(endpoint: Endpoint, *, call_seconds: float = _PEEK_SECONDS) -> Iterator[DockerClient]:
    """A client for a few quick questions; raises EnvironmentProblem when one of them is not answered in time."""
    from requests.exceptions import RequestException

    with connected(endpoint, call_seconds=call_seconds) as client:
        try:
            yield client
        except RequestException as error:
            raise EnvironmentProblem(
                f"the Docker daemon at {endpoint.url} does not answer: {error}", hint=_START
            ) from error


def _knock(endpoint: Endpoint, *, within_seconds: float) -> None:
    """Raise EnvironmentProblem when nobody listens at a local socket: a daemon that was killed leaves it behind."""
    if not endpoint.url.startswith(_UNIX):
        return
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(within_seconds)
            door.connect(endpoint.url.removeprefix(_UNIX))
    except OSError as error:
        raise EnvironmentProblem(
            f"no Docker daemon: nobody answers at {endpoint.url}, which one has left behind ({error})", hint=_START
        ) from error


def _socket_paths() -> Iterator[Path]:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    yield Path("/var/run/docker.sock")
    yield runtime / "docker.sock"
    yield Path.home() / ".docker/run/docker.sock"
    yield runtime / "podman/podman.sock"
    yield Path("/run/podman/podman.sock")


def _socket(path: Path) -> Endpoint:
    if not os.access(path, os.F_OK):
        raise EnvironmentProblem(f"no Docker daemon: there is no socket at {path}", hint=_START)
    if not os.access(path, os.R_OK | os.W_OK):
        raise EnvironmentProblem(
            f"the Docker daemon's socket {path} may not be used by this user",
            hint=f"sudo usermod -aG docker $USER, then log in again, {OTHER_ENGINE}",
        )
    return Endpoint(url=f"{_UNIX}{path}", shares_files=True)


def _remote(url: str) -> Endpoint:
    parts = urlsplit(url)
    if parts.scheme not in ("tcp", "http", "https") or not parts.hostname:
        raise EnvironmentProblem(
            f"DOCKER_HOST={url}: a server behind such an address cannot be asked, because its ports open elsewhere",
            hint=f"name the daemon as tcp://HOST:PORT or unix://PATH, {OTHER_ENGINE}",
        )
    try:
        address = socket.gethostbyname(parts.hostname)
    except OSError as error:
        raise EnvironmentProblem(f"DOCKER_HOST={url}: {parts.hostname} is not known ({error})", hint=_START) from error
    return Endpoint(url=url, shares_files=False, bind_ip=address)
