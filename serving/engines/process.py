"""A model server as a process of this machine: how one is launched, watched and ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from serving.engines.contract import Addresses, Ended, ended_from_status, tail

# The kernel may still have to give back gigabytes.
_KILLED_SECONDS = 10.0
LOG_LIMIT = 64 * 1024


class ServerProcess(Protocol):
    """The little that must be known of a server's process; `multiprocessing.Process` is a line each away from it."""

    @property
    def pid(self) -> int: ...

    def exit_status(self) -> int | None:
        """None while it runs; negative for a signal, as `Popen.returncode` has it."""
        ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def wait(self, seconds: float) -> None:
        """Return when it has ended, or when the time is over."""
        ...


class Launcher(Protocol):
    """Starts a server process with these arguments, its output appended to `log`; it dies when this process dies."""

    def __call__(self, arguments: Sequence[str], *, log: Path) -> ServerProcess: ...


class _Popen:
    """A subprocess whose parent is a thread that lives as long as it does.

    The kernel takes the death of the *thread* that forked for the death of the parent, and a server that a short-lived
    worker thread started would die with that.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command = [sys.executable, "-m", "serving.engines.tether", str(os.getpid()), "--", *command]
        self._log = log
        self._started = threading.Event()
        self._ended = threading.Event()
        self._error: OSError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._run, name="model server", daemon=True).start()
        self._started.wait()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with self._log.open("ab") as log:
                # A session of its own: Ctrl-C goes to the whole foreground group, and the `with` block is to decide.
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    cwd=_SOURCE_ROOT,
                )
        except OSError as error:
            self._error = error
            return
        finally:
            self._started.set()
        self._process.wait()
        self._ended.set()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the process was never started")
        return self._process

    @property
    def pid(self) -> int:
        return self._running.pid

    def exit_status(self) -> int | None:
        return self._running.returncode if self._ended.is_set() else None

    def terminate(self) -> None:
        self._running.terminate()

    def kill(self) -> None:
        self._running.kill()

    def wait(self, seconds: float) -> None:
        self._ended.wait(seconds)


# `-m serving...` must be found wherever the caller stands.
_SOURCE_ROOT = Path(__file__).resolve().parents[2]


def launch(command: Sequence[str], *, log: Path) -> ServerProcess:
    """Start the command as a subprocess that dies with this process."""
    return _Popen(command, log)


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalServer:
    """A server process of this machine. `find_addresses` is asked until it knows."""

    process: ServerProcess
    label: str
    runtime: tuple[str, str]
    log: Path
    find_addresses: Callable[[], Addresses | None]
    details: Mapping[str, str] = field(default_factory=dict)

    def addresses(self) -> Addresses | None:
        return self.find_addresses()

    def ended(self) -> Ended | None:
        status = self.process.exit_status()
        return None if status is None else ended_from_status(status)

    def published(self) -> None:
        """The server reads the base path itself."""

    def log_tail(self) -> str:
        return log_tail(self.log)


@contextmanager
def ended_afterwards(process: ServerProcess, *, polite_seconds: float = 5.0) -> Iterator[None]:
    """The process is gone after the block: asked politely first, killed if that does not help."""
    try:
        yield
    finally:
        if process.exit_status() is None:
            process.terminate()
            process.wait(polite_seconds)
        if process.exit_status() is None:
            process.kill()
            process.wait(_KILLED_SECONDS)


def log_tail(log: Path) -> str:
    """The last lines of the file, or nothing when it was never written."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_LIMIT))
        return tail(file.read().decode(errors="replace"))
