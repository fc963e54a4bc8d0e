"""The roll of targets: the only file that names every runtime."""

from __future__ import annotations

from pathlib import Path

from edge.runtime import EdgeProcess
from pipeline.config import Config
from pipeline.core.artifact import Format
from pipeline.core.progress import Observer, nobody
from pipeline.core.target import Target
from pipeline.forked_server import ForkingLauncher
from pipeline.in_process import InProcess
from pipeline.workers import Workers
from serving.runtime import Server
from web_demo.runtime import Browser

_GRAPHICS = ("webgl", "webgpu")


def targets(config: Config, model: str, workers: Workers, observer: Observer = nobody) -> tuple[Target, ...]:
    """Every place where the model's artifacts run, in the order of the report. Nothing is started."""
    server = Server(
        model_name=model,
        engine=config.serve.engine,
        image=config.serve.image,
        memory_mb=config.serve.memory_mb,
        cpus=config.serve.cpus,
        ready_within_seconds=config.serve.ready_within_seconds,
        launcher=ForkingLauncher(workers=workers),
        observer=observer,
    )
    return (
        Target(
            name="saved_model", consumes=Format.SAVED_MODEL, runtime=InProcess(workers=workers), variant="in-process"
        ),
        Target(name="server/rest", consumes=Format.SAVED_MODEL, runtime=server, variant="rest"),
        Target(name="server/grpc", consumes=Format.SAVED_MODEL, runtime=server, variant="grpc"),
        *(
            Target(
                name=f"edge/{library}",
                consumes=Format.TFLITE,
                runtime=EdgeProcess(
                    library=library,
                    threads=config.edge.threads,
                    command=config.edge.command,
                    python=config.edge.python,
                ),
                variant="",
            )
            for library in config.edge.libraries
        ),
        *(
            Target(
                name=f"browser/{backend}",
                consumes=Format.TFJS,
                runtime=Browser(
                    executable=None if config.browser.executable is None else Path(config.browser.executable),
                    # Drawing in software takes longer than all else; in a browser of its own it holds nothing up.
                    lane="graphics" if backend in _GRAPHICS else "processor",
                    answer_within_seconds=config.browser.answer_within_seconds,
                ),
                variant=backend,
            )
            for backend in config.browser.backends
        ),
    )
