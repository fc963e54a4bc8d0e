"""One run of a model at a time: a second one in the same store would sweep, and publish over, what the first makes.

The kernel's own lock on a file, which goes with its process however that ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    made = not store.exists()
    with _taken_at(place, model, wait=wait, observer=observer) as file:
        file.truncate(0)
        file.write(f"{os.getpid()} {time.strftime('%H:%M:%S')}".encode())
        try:
            yield
        finally:
            file.truncate(0)
            if made and [one.name for one in store.iterdir()] == [place.name]:
                # Refused before anything was made.
                place.unlink()
                with suppress(OSError):
                    store.rmdir()


@contextmanager
def _taken_at(place: Path, model: str, *, wait: bool, observer: Observer) -> Iterator[FileIO]:
    """The file at that place, locked. One that was removed while this waited for it locks nobody out."""
    while True:
        with disk_problems_named(place.parent):
            place.parent.mkdir(parents=True, exist_ok=True)
            file = place.open("a+b", buffering=0)
        with file:
            if not _taken(file):
                if not wait:
                    raise EnvironmentProblem(
                        f"{_other(file)} is using {model} in {place.parent}",
                        hint="wait for it, as happens without --no-wait; or give this one another `store.path`",
                    )
                _wait(file, model, observer)
            if place.exists() and os.path.samestat(os.fstat(file.fileno()), place.stat()):
                yield file
                return


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
