"""The Docker engine: a server in a container. It knows the image contract of `tensorflow/serving`, and no image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pipeline.core.errors import EnvironmentProblem
from pipeline.core.progress import Observer, nobody
from serving.engines.contract import RunningServer, ServedModel
from serving.engines.docker_container import Confinement, ContainerServer
from serving.engines.docker_daemon import connected, find_daemon, peeking
from serving.engines.docker_image import daemon_platform, digest_of, image_missing, local_or_pulled

# A pull may be silent for long while a layer is unpacked.
_PULL_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class DockerEngine:
    """`image` by tag or digest. `memory_mb` and `cpus` of 0 set no limit; `platform` None means the daemon's own.

    `only_if_image` makes `missing` look for the image, too, and ask its registry whether it can be pulled.
    """

    image: str
    platform: str | None = None
    memory_mb: int = 0
    cpus: float = 0.0
    extra_flags: tuple[str, ...] = ()
    only_if_image: bool = False
    observer: Observer = field(default=nobody, compare=False, repr=False)
    name: str = field(default="docker", init=False)

    def missing(self) -> str | None:
        try:
            endpoint = find_daemon()
            with peeking(endpoint) as client:
                if not self.only_if_image:
                    return None
                return image_missing(client, self.image, platform=self.platform or daemon_platform(client))
        except EnvironmentProblem as problem:
            return f"{problem.problem}; {problem.hint}"

    def settings(self) -> Mapping[str, str]:
        """With the digest when the image is here: a tag can be moved to another image."""
        from docker.errors import ImageNotFound

        digest = "not here yet"
        with peeking(find_daemon()) as client, suppress(ImageNotFound):
            digest = digest_of(client.images.get(self.image))
        return {"engine": self.name, "image": self.image, "digest": digest, "flags": " ".join(self.extra_flags)}

    @contextmanager
    def start(self, model: ServedModel) -> Iterator[RunningServer]:
        endpoint = find_daemon()
        with connected(endpoint) as client:
            platform = self.platform or daemon_platform(client)
            image = local_or_pulled(
                client,
                self.image,
                platform=platform,
                patient=lambda: connected(endpoint, call_seconds=_PULL_SECONDS),
                observer=self.observer,
            )
            server = ContainerServer(
                client=client,
                endpoint=endpoint,
                image=image,
                image_name=self.image,
                confinement=Confinement(platform=platform, memory_mb=self.memory_mb, cpus=self.cpus),
                extra_flags=self.extra_flags,
                model=model,
            )
            try:
                if endpoint.shares_files:
                    server.start()
                yield server
            except BaseException as first:
                try:
                    server.remove()
                except EnvironmentProblem as second:
                    # What broke first tells more than that the broken thing cannot be tidied up.
                    first.add_note(second.problem)
                raise
            else:
                server.remove()
