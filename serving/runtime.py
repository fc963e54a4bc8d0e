"""The model server as a runtime of the pipeline: one server, asked over REST and over gRPC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, assert_never

from pipeline.core.artifact import Artifact
from pipeline.core.errors import TargetFailed
from pipeline.core.progress import Observer, nobody
from pipeline.core.target import Runner, RuntimeInfo
from serving.engines.choice import Choice, first_that_can
from serving.engines.contract import MONITORING, MONITORING_FILE, RunningServer, ServedModel
from serving.engines.docker import DockerEngine
from serving.engines.embedded import EmbeddedEngine, launch_embedded, tensorflow_version
from serving.engines.native import NativeEngine
from serving.engines.process import Launcher
from serving.model_base import ModelBase

EngineName = Literal["auto", "docker", "native", "embedded"]


@dataclass(frozen=True, kw_only=True)
class Server:
    """One model server. `image` None means `tensorflow/serving` at the TensorFlow version in use.

    `memory_mb` and `cpus` limit a container (0: no limit); the other engines take what the machine has. A port of 0 is
    chosen by the system. `monitored` switches the Prometheus metrics on.
    `ready_within_seconds` counts from the moment a version lies in the base path. `observer` hears of pulls.
    """

    model_name: str
    engine: EngineName = "auto"
    image: str | None = None
    platform: str | None = None
    memory_mb: int = 4096
    cpus: float = 0.0
    grpc_port: int = 0
    rest_port: int = 0
    monitored: bool = False
    extra_flags: tuple[str, ...] = ()
    ready_within_seconds: float = 120.0
    call_within_seconds: float = 300.0
    launcher: Launcher = field(default=launch_embedded, compare=False, repr=False)
    observer: Observer = field(default=nobody, compare=False, repr=False)

    def missing(self) -> str | None:
        match self.engine:
            case "auto":
                # The embedded server is the last resort, and the quickest to look for.
                return self.embedded().missing() and self.docker().missing() and self.native().missing()
            case "docker":
                return self.docker().missing()
            case "native":
                return self.native().missing()
            case "embedded":
                return self.embedded().missing()
            case _:
                assert_never(self.engine)

    def settings(self) -> Mapping[str, str]:
        """Those of the engine that would run now. The limits are not among them: they change no answer."""
        return {"model_name": self.model_name, **self.choice().engine.settings()}

    def choice(self) -> Choice:
        """The engine that `boot` would start, and why it."""
        match self.engine:
            case "auto":
                return first_that_can((self.docker(only_if_ready=True), self.native(), self.embedded()))
            case "docker":
                return Choice(engine=self.docker(), why=_ASKED_FOR)
            case "native":
                return Choice(engine=self.native(), why=_ASKED_FOR)
            case "embedded":
                return Choice(engine=self.embedded(), why=_ASKED_FOR)
            case _:
                assert_never(self.engine)

    @contextmanager
    def boot(self, scratch: Path) -> Iterator[ServerSession]:
        """Start the server on an empty base path; it opens its ports when the first version is loaded."""
        choice = self.choice()
        base = ModelBase(scratch=scratch.resolve(), model=self.model_name)
        base.create()
        model = ServedModel(
            name=self.model_name,
            base_path=base.path,
            log=base.scratch / "server.log",
            config=_configured(base.scratch / "config"),
            call_within_seconds=self.call_within_seconds,
            monitored=self.monitored,
            grpc_port=self.grpc_port,
            rest_port=self.rest_port,
        )
        with choice.engine.start(model) as server:
            yield ServerSession(settings=self, choice=choice, base=base, server=server)

    def docker(self, *, only_if_ready: bool = False) -> DockerEngine:
        return DockerEngine(
            image=self.image or f"tensorflow/serving:{tensorflow_version()}",
            platform=self.platform,
            memory_mb=self.memory_mb,
            cpus=self.cpus,
            extra_flags=self.extra_flags,
            only_if_image=only_if_ready,
            observer=self.observer,
        )

    def native(self) -> NativeEngine:
        return NativeEngine(extra_flags=self.extra_flags)

    def embedded(self) -> EmbeddedEngine:
        return EmbeddedEngine(extra_flags=self.extra_flags, launcher=self.launcher)


_ASKED_FOR = "asked for"


def _configured(folder: Path) -> Path:
    """The folder with the files that flags name, open to read for a server that runs as somebody else."""
    folder.mkdir()
    folder.chmod(0o755)
    (folder / MONITORING_FILE).write_text(MONITORING)
    (folder / MONITORING_FILE).chmod(0o644)
    return folder


@dataclass(frozen=True, kw_only=True, eq=False)
class ServerSession:
    """A server that is up, with the folder that it polls."""

    settings: Server
    choice: Choice
    base: ModelBase
    server: RunningServer

    @contextmanager
    def load(self, artifact: Artifact, variant: str) -> Iterator[Runner]:
        """Yield a runner over `rest` or `grpc`; the second protocol finds the version where the first one put it."""
        # Clients and readiness pull grpc in, which costs a fifth of a second.
        from serving.grpc_client import GrpcRunner, channel_to
        from serving.readiness import wait_until_available
        from serving.rest import RestRunner, connection_to

        if variant not in ("rest", "grpc"):
            raise TargetFailed(f"a model server has no variant {variant!r}", hint="the variants are rest and grpc")
        version, placed = self.base.place(artifact)
        if placed:
            self.server.published()
        addresses = wait_until_available(
            self.server,
            model=self.base.model,
            version=version,
            within_seconds=self.settings.ready_within_seconds,
        )
        if variant == "rest":
            with connection_to(addresses.rest) as connection:
                yield RestRunner(
                    info=self._info(variant),
                    server=self.server,
                    connection=connection,
                    model=self.base.model,
                    version=version,
                    signature=artifact.signature,
                    call_within_seconds=self.settings.call_within_seconds,
                )
        else:
            with channel_to(addresses.grpc) as channel:
                yield GrpcRunner(
                    info=self._info(variant),
                    server=self.server,
                    channel=channel,
                    model=self.base.model,
                    version=version,
                    signature=artifact.signature,
                    call_within_seconds=self.settings.call_within_seconds,
                )

    def _info(self, variant: str) -> RuntimeInfo:
        name, version = self.server.runtime
        details = {"engine": self.choice.engine.name, "why": self.choice.why, "protocol": variant}
        return RuntimeInfo(runtime=name, version=version, details={**details, **self.server.details})
