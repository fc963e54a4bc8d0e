"""The container of a server: how it is confined, where it answers, why it ended, and that it is removed."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import EnvironmentProblem
from serving.engines.contract import Addresses, Ended, ServedModel, ended_from_status, server_flags, tail
from serving.engines.docker_daemon import OTHER_ENGINE, Endpoint
from serving.engines.docker_image import digest_of
from serving.engines.docker_sweep import RUN_LABEL, run_labels
from serving.engines.interrupts import interrupts_held

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.images import Image

_MODELS = "/models"
_CONFIG = "/config"
_GRPC, _REST = "8500/tcp", "8501/tcp"
_NOBODY = "65534:65534"
_DAEMON_HINT = "start the Docker daemon again, then `tripoint serve --clean` removes what was left behind"
_REMOVED = Ended(
    unknown="somebody removed the container", mend="run again, and leave containers named tripoint-* alone"
)


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """What a container gets. 0 for memory and processors means no limit."""

    platform: str
    memory_mb: int
    cpus: float


class ContainerServer:
    """A container that is created, perhaps more than once, and removed in any case."""

    def __init__(
        self,
        *,
        client: DockerClient,
        endpoint: Endpoint,
        image: Image,
        image_name: str,
        confinement: Confinement,
        extra_flags: tuple[str, ...],
        model: ServedModel,
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._image = image
        self._image_name = image_name
        self._confinement = confinement
        self._flags = (*server_flags(model, config_folder=_CONFIG), *extra_flags)
        self._model = model
        self._labels = run_labels()
        self._container: Container | None = None

    @property
    def container_name(self) -> str:
        return f"tripoint-{self._model.name}-{self._labels[RUN_LABEL]}"

    @property
    def label(self) -> str:
        return f"container {self._image_name}"

    @property
    def runtime(self) -> tuple[str, str]:
        """As the image's labels name it, else as its reference does."""
        labels = self._image.labels
        name, _, tag = self._image_name.partition("@")[0].rpartition(":")
        return (
            labels.get("org.opencontainers.image.title", name or tag),
            labels.get("org.opencontainers.image.version", tag if name else "latest"),
        )

    @property
    def details(self) -> Mapping[str, str]:
        """With the limits that the daemon really set: a rootless one may be unable to, and drops them."""
        host = self._container.attrs.get("HostConfig", {}) if self._container is not None else {}
        return {
            "image": self._image_name,
            "digest": digest_of(self._image),
            "platform": self._confinement.platform,
            "memory_mb": str(int(host.get("Memory") or 0) // 2**20 or "no limit"),
            "cpus": f"{int(host.get('NanoCpus') or 0) / 1e9:g}" if host.get("NanoCpus") else "no limit",
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
            raise _refused(self.label, str(error.explanation or error)) from error
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
        model, confinement = self._model, self._confinement
        bind = (self._endpoint.bind_ip,)
        wanted: dict[str, Any] = {}
        if confinement.memory_mb:
            # The same limit for memory and swap together means: no swap.
            limit = f"{confinement.memory_mb}m"
            wanted |= {"mem_limit": limit, "memswap_limit": limit}
        if confinement.cpus:
            wanted |= {"nano_cpus": int(confinement.cpus * 1e9)}
        if self._endpoint.shares_files:
            # `z` lets SELinux, where there is one, allow the container to read the folders.
            folders = {model.base_path: f"{_MODELS}/{model.name}", model.config: _CONFIG}
            wanted |= {"volumes": {str(path): {"bind": inside, "mode": "ro,z"} for path, inside in folders.items()}}
        return {
            "image": self._image_name,
            "command": list(self._flags),
            "name": self.container_name,
            "platform": confinement.platform,
            "labels": self._labels,
            "environment": {"MODEL_NAME": model.name, "MODEL_BASE_PATH": _MODELS},
            "ports": {
                _GRPC: (*bind, model.grpc_port) if model.grpc_port else bind,
                _REST: (*bind, model.rest_port) if model.rest_port else bind,
            },
            "user": f"{os.getuid()}:{os.getgid()}" if os.getuid() else _NOBODY,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            **wanted,
        }


def _refused(label: str, reason: str) -> EnvironmentProblem:
    lower = reason.lower()
    if "already allocated" in lower or "address already in use" in lower:
        mend = "another program holds the port: stop it, or leave the port to be chosen"
    elif "oom" in lower:
        mend = "the memory limit is too low even to start: raise it under [serve] in tripoint.toml"
    elif "cannot assign requested address" in lower:
        mend = "name the daemon in DOCKER_HOST by an address that its machine has itself"
    elif "does not match the specified platform" in lower or "exec format error" in lower:
        mend = f"use an image for this kind of processor, {OTHER_ENGINE}"
    elif "executable file not found" in lower or "no such file or directory" in lower or "no command" in lower:
        mend = "the image holds no model server with the entry point of tensorflow/serving"
    else:
        mend = f"`docker run` with this image shows it without us, {OTHER_ENGINE}"
    return EnvironmentProblem(f"Docker could not start {label}: {reason}", hint=mend)


def _archive(model: ServedModel) -> bytes:
    """The base path and the configuration as a tar that is unpacked at the container's root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(model.base_path, arcname=f"{_MODELS}/{model.name}".lstrip("/"))
        archive.add(model.config, arcname=_CONFIG.lstrip("/"))
    return buffer.getvalue()
