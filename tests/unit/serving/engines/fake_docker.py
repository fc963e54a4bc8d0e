"""The few calls of a Docker client that the engine makes, answered from memory."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from typing import Any

import requests
from docker.errors import APIError, ImageNotFound, NotFound


def api_error(explanation: str, status: int = 500) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError(explanation, response=response, explanation=explanation)


@dataclass
class FakeImage:
    platform: str = "linux/amd64"
    id: str = "sha256:0123"
    labels: dict[str, str] = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)

    @property
    def attrs(self) -> dict[str, Any]:
        system, _, processor = self.platform.partition("/")
        return {"Os": system, "Architecture": processor, "RepoDigests": self.digests}


@dataclass
class FakeContainer:
    client: FakeDocker
    specification: dict[str, Any]
    state: dict[str, Any] = field(default_factory=lambda: {"Status": "created"})
    files: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.specification["name"])

    @property
    def attrs(self) -> dict[str, Any]:
        ports = {
            port: [{"HostIp": "x", "HostPort": str(40000 + int(port[:4]))}] for port in self.specification["ports"]
        }
        limits = {} if self.client.cannot_limit else {"Memory": 512 * 2**20, "NanoCpus": 1_500_000_000}
        return {"State": self.state, "NetworkSettings": {"Ports": ports}, "HostConfig": limits}

    def start(self) -> None:
        if self.client.start_error is not None:
            raise self.client.start_error
        self.state = {"Status": "running"}

    def reload(self) -> None:
        if self.client.gone:
            raise requests.exceptions.ConnectionError("Connection aborted")
        if self not in self.client.alive:
            raise NotFound("No such container")

    def logs(self) -> bytes:
        if self.client.gone:
            raise requests.exceptions.ConnectionError("Connection aborted")
        return b"one line\n"

    def put_archive(self, path: str, data: bytes) -> None:
        assert path == "/"
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            self.files = archive.getnames()

    def remove(self, **options: bool) -> None:
        assert options == {"force": True, "v": True}
        if self.client.gone:
            raise requests.exceptions.ConnectionError("Connection aborted")
        self.client.alive.remove(self)


@dataclass
class FakeDocker:
    """Stands for the client and for its `containers`, `images` and `api` alike."""

    images_here: dict[str, FakeImage] = field(default_factory=dict)
    pull_events: list[dict[str, Any]] = field(default_factory=list)
    pulled: FakeImage | None = None
    registry_error: APIError | None = None
    start_error: APIError | None = None
    gone: bool = False
    cannot_limit: bool = False
    alive: list[FakeContainer] = field(default_factory=list)
    created: list[FakeContainer] = field(default_factory=list)

    @property
    def containers(self) -> FakeDocker:
        return self

    @property
    def images(self) -> FakeDocker:
        return self

    @property
    def api(self) -> FakeDocker:
        return self

    def create(self, **specification: Any) -> FakeContainer:
        container = FakeContainer(self, specification)
        self.alive.append(container)
        self.created.append(container)
        return container

    def get(self, name: str) -> FakeImage:
        if name not in self.images_here:
            raise ImageNotFound(name)
        return self.images_here[name]

    def get_registry_data(self, name: str) -> Any:
        if self.registry_error is not None:
            raise self.registry_error
        raise AssertionError(f"nobody should ask the registry for {name}")

    def pull(self, repository: str, tag: str, **_: Any) -> Any:
        yield from self.pull_events
        if self.pulled is not None:
            self.images_here[f"{repository}:{tag}"] = self.pulled
