"""A real Docker daemon, small images that misbehave on purpose, and proof that no container stays behind."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pipeline.core.errors import EnvironmentProblem
from serving.engines.docker_daemon import connected, find_daemon
from serving.engines.docker_sweep import RUN_LABEL

if TYPE_CHECKING:
    from docker import DockerClient


@pytest.fixture(scope="session")
def docker_client(require: Callable[[str | None], None]) -> Iterator[DockerClient]:
    """A client of the daemon that `make setup` starts; skips when there is none."""
    import docker

    try:
        endpoint = find_daemon()
        with connected(endpoint, call_seconds=5):
            pass
    except EnvironmentProblem as problem:
        require(f"{problem.problem}; {problem.hint}")
    with closing(docker.from_env(timeout=120)) as client:
        yield client


@pytest.fixture(scope="session")
def base_image(docker_client: DockerClient) -> str:
    """A base with a shell, which the server's image stands on, too."""
    from serving.image.build import ensure_base

    return ensure_base(docker_client)


@pytest.fixture(scope="session")
def image_that_runs(docker_client: DockerClient, base_image: str) -> Callable[[str], str]:
    """Builds an image whose entry point is a line of shell, and gives its tag. The daemon keeps it."""

    def build(line: str) -> str:
        dockerfile = f'FROM {base_image}\nENTRYPOINT ["/bin/sh", "-c", "{line}"]\n'.encode()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo("Dockerfile")
            entry.size = len(dockerfile)
            archive.addfile(entry, io.BytesIO(dockerfile))
        buffer.seek(0)
        image, _ = docker_client.images.build(fileobj=buffer, custom_context=True, rm=True)
        tag = f"tripoint/misbehaving:{str(image.id).partition(':')[2][:12]}"
        assert image.tag(tag)
        return tag

    return build


@pytest.fixture
def no_container_left(docker_client: DockerClient) -> Iterator[None]:
    """Fails when the test leaves a container that it did not find."""

    def names() -> set[str]:
        listed = docker_client.containers.list(all=True, filters={"label": RUN_LABEL}, ignore_removed=True)
        return {str(one.name) for one in listed}

    before = names()
    yield
    assert names() <= before
