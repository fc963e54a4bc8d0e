"""The library behind `tripoint serve`: the exported model behind a model server, in the foreground."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import golden, main_job
from pipeline.cells import artifact_of
from pipeline.config import Config
from pipeline.core.artifact import Format, Precision
from pipeline.core.progress import Observer
from pipeline.model_files import Known
from pipeline.workflow import Ran, run_alone
from serving.foreground import Served, served
from serving.runtime import EngineName, Server

_LOOK_EVERY_SECONDS = 1.0


def clean() -> str:
    """Remove the containers that killed runs left behind; a sentence about it. Raises EnvironmentProblem."""
    from serving.engines.docker_sweep import sweep

    swept = sweep()
    return f"removed {len(swept)} containers: {', '.join(swept)}" if swept else "there was nothing to remove"


def exported(file: Known, config: Config, *, observer: Observer) -> Ran:
    """Bring the SavedModel up to date."""
    return run_alone(main_job.job(file, config, until="export"), observer=observer)


def server(
    name: str,
    config: Config,
    *,
    engine: EngineName | None,
    image: str | None,
    rest_port: int,
    grpc_port: int,
    observer: Observer,
) -> Server:
    """What tripoint.toml says of the server, changed by what was asked on the command line."""
    return Server(
        model_name=name,
        engine=engine or config.serve.engine,
        image=image or config.serve.image,
        memory_mb=config.serve.memory_mb,
        cpus=config.serve.cpus,
        ready_within_seconds=config.serve.ready_within_seconds,
        rest_port=rest_port,
        grpc_port=grpc_port,
        observer=observer,
    )


def serve(ran: Ran, settings: Server) -> Iterator[str]:
    """Serve until interrupted. Yields lines to print: the addresses, a line to try, then the requests when they change.

    Raises EnvironmentProblem when no server can be started, TargetFailed when it ends by itself.
    """
    artifact = artifact_of(
        Format.SAVED_MODEL, Precision.FLOAT32, settings.model_name, exported=ran.exported, made=ran.exported
    )
    inputs = golden.load(ran.trained.path / golden.GOLDEN_FILE).inputs
    example = {name: array[:1] for name, array in inputs.items()}
    with (
        TemporaryDirectory(prefix="tripoint-serve-") as scratch,
        served(settings, artifact, scratch=Path(scratch), example=example) as running,
    ):
        details = ", ".join(f"{key} {value}" for key, value in running.info.details.items() if key != "protocol")
        yield f"{running.info.runtime} {running.info.version} ({details})"
        yield f"REST  http://{running.addresses.rest}/v1/models/{running.model}"
        yield f"gRPC  {running.addresses.grpc}"
        yield f"try   {running.try_it}"
        yield "Ctrl-C ends it"
        yield from _requests(running)


def _requests(running: Served) -> Iterator[str]:
    told: dict[str, int] = {}
    while True:
        failure = running.failure()
        if failure is not None:
            raise failure
        counts = dict(running.request_counts() or {})
        if counts != told:
            told = counts
            yield "requests  " + ", ".join(f"{status} {count}" for status, count in sorted(counts.items()))
        time.sleep(_LOOK_EVERY_SECONDS)
