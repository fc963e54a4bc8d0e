"""The Docker engine: a server in a container. It knows the image contract of `tensorflow/serving`, and no image."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import EnvironmentProblem
from pipeline.core.progress import Observer, nobody
from serving.engines.contract import SERVER_FLAGS, Addresses, Ended, RunningServer, ServedModel, ended_from_status, tail
from serving.engines.docker_daemon import OTHER_ENGINE, Endpoint, connected, find_daemon
from serving.engines.docker_image import daemon_platform, digest_of, image_missing, local_or_pulled
from serving.engines.docker_sweep import run_labels
from serving.engines.interrupts import interrupts_held

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.images import Image

_MODELS = "/models"
_GRPC, _REST = "8500/tcp", "8501/tcp"
_NOBODY = "65534:65534"
# A pull may be silent for long while a layer is unpacked.
_PULL_SECONDS = 600.0
_PEEK_SECONDS = 5.0


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
            with connected(endpoint, call_seconds=_PEEK_SECONDS) as client:
                if not self.only_if_image:
                    return None
                return image_missing(client, self.image, platform=self.platform or daemon_platform(client))
        except EnvironmentProblem as problem:
            return f"{problem.problem}; {problem.hint}"

    def settings(self) -> Mapping[str, str]:
        """With the digest when the image is here: a tag can be moved to another image."""
        from docker.errors import ImageNotFound

        digest = "not here yet"
        with connected(find_daemon(), call_seconds=_PEEK_SECONDS) as client, suppress(ImageNotFound):
            digest = digest_of(client.images.get(self.image))
        return {"engine": self.name, "image": self.image, "digest": digest, "flags": " ".join(self.extra_flags)}

    @contextmanager
    def start(self, model: ServedModel) -> Iterator[RunningServer]:
        endpoint = find_daemon()
        with connected(endpoint, call_seconds=_PULL_SECONDS) as patient:
            platform = self.platform or daemon_platform(patient)
            image = local_or_pulled(patient, self.image, platform=platform, observer=self.observer)
        with connected(endpoint) as client:
            server = _ContainerServer(
                client=client, engine=self, endpoint=endpoint, platform=platform, image=image, model=model
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


class _ContainerServer:
    """A container that is created, perhaps more than once, and removed in any case."""

    def __init__(
        self,
        *,
        client: DockerClient,
        engine: DockerEngine,
        endpoint: Endpoint,
        platform: str,
        image: Image,
        model: ServedModel,
    ) -> None:
        self._client = client
        self._engine = engine
        self._endpoint = endpoint
        self._platform = platform
        self._image = image
        self._model = model
        self._labels = run_labels()
        self._container: Container | None = None

    @property
    def label(self) -> str:
        return f"container {self._engine.image}"

    @property
    def runtime(self) -> tuple[str, str]:
        """As the image's labels name it, else as its reference does."""
        labels = self._image.labels
        name, _, tag = self._engine.image.partition("@")[0].rpartition(":")
        return (
            labels.get("org.opencontainers.image.title", name or tag),
            labels.get("org.opencontainers.image.version", tag if name else "latest"),
        )

    @property
    def details(self) -> Mapping[str, str]:
        return {
            "image": self._engine.image,
            "digest": digest_of(self._image),
            "platform": self._platform,
            "memory_mb": str(self._engine.memory_mb or "no limit"),
            "cpus": str(self._engine.cpus or "no limit"),
        }

    def start(self) -> None:
        """Create and start the container; raises EnvironmentProblem with the mend when the daemon refuses."""
        from docker.errors import APIError
        from requests.exceptions import RequestException

        try:
            # An answer that Ctrl-C cut off would leave a container that nobody knows of.
            with interrupts_held():
                self._container = self._client.containers.create(**self._specification())
            if not self._endpoint.shares_files:
                self._container.put_archive("/", _archive(self._model))
            self._container.start()
        except APIError as error:
            raise self._refused(str(error.explanation or error)) from error
        except RequestException as error:
            raise EnvironmentProblem(
                f"the Docker daemon did not answer while {self.label} was started: {error}", hint=_DAEMON_HINT
            ) from error

    def addresses(self) -> Addresses | None:
        if self._container is None:
            return None
        published = self._container.attrs.get("NetworkSettings", {}).get("Ports") or {}
        grpc, rest = ((published.get(port) or [{}])[0].get("HostPort") for port in (_GRPC, _REST))
        if not grpc or not rest:
            return None
        host = self._endpoint.bind_ip
        return Addresses(grpc=f"{host}:{grpc}", rest=f"{host}:{rest}")

    def ended(self) -> Ended | None:
        """Also brings the addresses up to date: it is the one question that is asked at each tick."""
        from docker.errors import APIError, NotFound
        from requests.exceptions import RequestException

        if self._container is None:
            return None
        try:
            self._container.reload()
        except NotFound:
            return _REMOVED
        except (APIError, RequestException) as error:
            return Ended(unknown=f"the Docker daemon does not answer any more: {error}", mend=_DAEMON_HINT)
        state = self._container.attrs["State"]
        if state["Status"] == "removing":
            return _REMOVED
        if state["Status"] not in ("exited", "dead"):
            return None
        return ended_from_status(int(state["ExitCode"]), out_of_memory=bool(state.get("OOMKilled")))

    def published(self) -> None:
        """A daemon that does not see our files gets a fresh container with what lies in the base path now."""
        if not self._endpoint.shares_files:
            self.remove()
            self.start()

    def log_tail(self) -> str:
        return tail(self._log().decode(errors="replace"))

    def remove(self) -> None:
        """Save the log and remove the container, if there is one. Ctrl-C waits until that is done."""
        from docker.errors import APIError, NotFound
        from requests.exceptions import RequestException

        container = self._container
        if container is None:
            return
        with interrupts_held():
            with self._model.log.open("ab") as log:
                log.write(self._log())
            try:
                container.remove(force=True, v=True)
            except NotFound:
                pass
            except (APIError, RequestException) as error:
                raise EnvironmentProblem(
                    f"{self.label} could not be removed (container {container.name}): {error}", hint=_DAEMON_HINT
                ) from error
            self._container = None

    def _log(self) -> bytes:
        from docker.errors import APIError
        from requests.exceptions import RequestException

        if self._container is None:
            return b""
        try:
            return self._container.logs()
        except (APIError, RequestException) as error:
            return f"(the container's log cannot be had: {error})\n".encode()

    def _specification(self) -> dict[str, Any]:
        engine, model = self._engine, self._model
        bind = (self._endpoint.bind_ip,)
        limits: dict[str, Any] = {}
        if engine.memory_mb:
            # The same limit for memory and swap together means: no swap.
            limits |= {"mem_limit": f"{engine.memory_mb}m", "memswap_limit": f"{engine.memory_mb}m"}
        if engine.cpus:
            limits |= {"nano_cpus": int(engine.cpus * 1e9)}
        if self._endpoint.shares_files:
            # `z` lets SELinux, where there is one, allow the container to read the folder.
            limits |= {"volumes": {str(model.base_path): {"bind": f"{_MODELS}/{model.name}", "mode": "ro,z"}}}
        return {
            "image": engine.image,
            "command": [*SERVER_FLAGS, *engine.extra_flags],
            "name": f"tripoint-{model.name}-{self._labels['io.tripoint.run']}",
            "platform": self._platform,
            "labels": self._labels,
            "environment": {"MODEL_NAME": model.name, "MODEL_BASE_PATH": _MODELS},
            "ports": {
                _GRPC: (*bind, model.grpc_port) if model.grpc_port else bind,
                _REST: (*bind, model.rest_port) if model.rest_port else bind,
            },
            "user": f"{os.getuid()}:{os.getgid()}" if os.getuid() else _NOBODY,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            **limits,
        }

    def _refused(self, reason: str) -> EnvironmentProblem:
        lower = reason.lower()
        if "already allocated" in lower or "address already in use" in lower:
            mend = "another program holds the port: stop it, or leave the port to be chosen"
        elif "cannot assign requested address" in lower:
            mend = f"the daemon's machine has no address {self._endpoint.bind_ip}: name it by one that it has"
        elif "does not match the specified platform" in lower or "exec format error" in lower:
            mend = f"use an image for this kind of processor, {OTHER_ENGINE}"
        elif "executable file not found" in lower or "no such file or directory" in lower or "no command" in lower:
            mend = "the image holds no model server with the entry point of tensorflow/serving"
        else:
            mend = f"docker run {self._engine.image} shows it without us, {OTHER_ENGINE}"
        return EnvironmentProblem(f"Docker could not start {self.label}: {reason}", hint=mend)


_REMOVED = Ended(unknown="somebody removed the container", mend="run again, and leave containers named tripoint-* alone")
_DAEMON_HINT = "start the Docker daemon again, then `tripoint serve --clean` removes what was left behind"


def _archive(model: ServedModel) -> bytes:
    """The base path as a tar that is unpacked at the container's root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(model.base_path, arcname=str(Path(_MODELS.lstrip("/")) / model.name))
    return buffer.getvalue()
