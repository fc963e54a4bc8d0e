"""One run of a model at a time: a second one in the same store would sweep, and publish over, what the first makes.

The kernel's own lock on a file, which goes with its process however that ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from pipeline.core.errors import EnvironmentProblem
from pipeline.core.progress import Observer, Progress
from pipeline.store import disk_problems_named

WAITING = "waiting"
_LOOK_EVERY_SECONDS = 0.2
_SAY_EVERY_SECONDS = 30.0


@contextmanager
def alone(store: Path, model: str, *, wait: bool, observer: Observer) -> Iterator[None]:
    """Hold the model in this store while the block lasts; where another process has it, wait for that and say so.

    Not to be nested. Raises EnvironmentProblem, which names the other process, when it is not to wait.
    """
    place = store / f"{model}.lock"
    with disk_problems_named(store):
        store.mkdir(parents=True, exist_ok=True)
        file = place.open("a+b", buffering=0)
    with file:
        if not _taken(file):
            if not wait:
                raise EnvironmentProblem(
                    f"{_other(file)} is using {model} in {store}",
                    hint="wait for it, as happens without --no-wait; or give this one another `store.path`",
                )
            _wait(file, model, observer)
        file.truncate(0)
        file.write(f"{os.getpid()} {time.strftime('%H:%M:%S')}".encode())
        try:
            yield
        finally:
            # Emptied, not removed: whoever waits has this very file open.
            file.truncate(0)


def _wait(file: FileIO, model: str, observer: Observer) -> None:
    started = said = time.monotonic()
    observer(Progress(stage=WAITING, message=f"{_other(file)} is using {model}; --no-wait would not wait for it"))
    while not _taken(file):
        time.sleep(_LOOK_EVERY_SECONDS)
        if time.monotonic() - said >= _SAY_EVERY_SECONDS:
            said = time.monotonic()
            observer(Progress(stage=WAITING, message=f"{_other(file)} is still using {model}"))
    took = time.monotonic() - started
    observer(Progress(stage=WAITING, message=f"{model} is free now", finished=True, seconds=took))


def _taken(file: FileIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _other(file: FileIO) -> str:
    file.seek(0)
    process, _, since = file.read(64).decode(errors="replace").partition(" ")
    return f"another run (process {process}, since {since})" if since else "another run"
