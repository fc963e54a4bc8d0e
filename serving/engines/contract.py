"""What every engine keeps: a `with` block around a model server that says where it answers, and why it ended."""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """What a server is started on. `base_path` holds the version folders and may still be empty.

    `config` holds files that flags name, such as the one that switches the metrics on when the server is `monitored`.
    A port of 0 is chosen by the system. `call_within_seconds` is how long a client waits for one answer.
    """

    name: str
    base_path: Path
    log: Path
    config: Path
    call_within_seconds: float
    monitored: bool = False
    grpc_port: int = 0
    rest_port: int = 0


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where a server answers, each as `host:port`."""

    grpc: str
    rest: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a server ended: its exit code, or the signal that killed it.

    When neither can be known, `unknown` says why in words, and `mend` what to do.
    """

    exit_code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False
    unknown: str = ""
    mend: str = ""

    @property
    def sentence(self) -> str:
        if self.unknown:
            return self.unknown
        how = f"exit code {self.exit_code}" if self.signal is None else f"killed by {signal_name(self.signal)}"
        return f"{how}, out of memory" if self.out_of_memory else how


class RunningServer(Protocol):
    """A server that was started. It may have ended since."""

    @property
    def label(self) -> str:
        """What a message calls it, such as `container tensorflow/serving:2.21.0`."""
        ...

    @property
    def runtime(self) -> tuple[str, str]:
        """Name and version of the software that answers."""
        ...

    @property
    def details(self) -> Mapping[str, str]:
        """What a report says about it besides: image digest, binary, limits."""
        ...

    def addresses(self) -> Addresses | None:
        """Where it answers, or None while its ports are not known yet."""
        ...

    def ended(self) -> Ended | None:
        """How it ended, or None while it runs. Cheap enough to be asked twenty times a second."""
        ...

    def published(self) -> None:
        """A version's folder is complete in the base path; an engine that shares no files with us takes it over."""
        ...

    def log_tail(self) -> str:
        """The last lines that it wrote."""
        ...


class Engine(Protocol):
    """A way to run a server. Implementations are frozen dataclasses whose fields are their settings."""

    @property
    def name(self) -> str: ...

    def missing(self) -> str | None:
        """Why it cannot run here, with the mend, or None. Imports nothing heavy when that is plain to see."""
        ...

    def settings(self) -> Mapping[str, str]:
        """What decides its answers: image, binary, versions."""
        ...

    def start(self, model: ServedModel) -> AbstractContextManager[RunningServer]:
        """Start a server and yield at once, before it is ready. It is gone afterwards, and `model.log` holds its log.

        Raises EnvironmentProblem when it cannot be started.
        """
        ...


LOG_TAIL_LINES = 20

METRICS_PATH = "/monitoring/prometheus/metrics"
MONITORING_FILE = "monitoring.txt"
MONITORING = f'prometheus_config {{ enable: true, path: "{METRICS_PATH}" }}\n'


def server_flags(model: ServedModel, *, config_folder: str) -> tuple[str, ...]:
    """The flags that every engine passes; `config_folder` is where the server finds `model.config`."""
    # A version that does not load is reported at once; the default is to try again for five minutes.
    # REST gives up after 30 s by default, which a batch of a large model can take. The client is the one to give up: it
    # says more.
    rest_timeout = math.ceil(1000 * (model.call_within_seconds + 1))
    flags = ("--max_num_load_retries=0", f"--rest_api_timeout_in_ms={rest_timeout}")
    return (*flags, f"--monitoring_config_file={config_folder}/{MONITORING_FILE}") if model.monitored else flags


def ended_from_status(status: int, *, out_of_memory: bool = False) -> Ended:
    """From an exit status: negative (Popen) or above 128 (a shell, a container) means a signal."""
    if status < 0:
        return Ended(signal=-status, out_of_memory=out_of_memory)
    if status > 128 and status - 128 in {member.value for member in signal.Signals}:
        return Ended(signal=status - 128, out_of_memory=out_of_memory)
    return Ended(exit_code=status, out_of_memory=out_of_memory)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def tail(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-LOG_TAIL_LINES:])
