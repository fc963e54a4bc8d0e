"""The embedded server in a process that has TensorFlow imported already."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from pipeline.core.errors import ExitStatus
from pipeline.workers import Workers


@dataclass(frozen=True, kw_only=True)
class ForkedServer:
    """A worker process as `serving.engines.process.ServerProcess` wants it."""

    process: BaseProcess

    @property
    def pid(self) -> int:
        if self.process.pid is None:
            raise RuntimeError("the process was never started")
        return self.process.pid

    def exit_status(self) -> int | None:
        return self.process.exitcode

    def terminate(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()

    def wait(self, seconds: float) -> None:
        self.process.join(seconds)


@dataclass(frozen=True, kw_only=True)
class ForkingLauncher:
    """Starts the embedded server from the workers' process: without the seconds that its own import would take."""

    workers: Workers

    def __call__(self, arguments: Sequence[str], *, log: Path) -> ForkedServer:
        return ForkedServer(process=self.workers.launch(_serve, tuple(arguments), str(log)))


def _serve(arguments: tuple[str, ...], log: str) -> None:
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except FileNotFoundError:
        # The run was stopped while this process was being made, and took its folder away: nobody waits any more, and a
        # traceback would reach the terminal.
        sys.exit(ExitStatus.INTERRUPTED)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    from serving.embedded import main

    sys.exit(main(arguments))
