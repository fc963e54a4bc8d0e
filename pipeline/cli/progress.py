"""What people see while it works: a live view on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pipeline.core.progress import Observer, Progress, nobody

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

Verbosity = Literal["quiet", "normal", "verbose"]

_SECONDS_BETWEEN_LINES = 2.0


@contextmanager
def watching(verbosity: Verbosity) -> Iterator[Observer]:
    """Yield the observer that suits where stderr goes; its display is gone when the block ends."""
    if verbosity == "quiet":
        yield nobody
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield _Live(bars, verbose=verbosity == "verbose")
    else:
        yield _Lines(verbose=verbosity == "verbose")


def _line(event: Progress) -> str:
    counted = "" if event.total is None else f" {event.done}/{event.total}"
    took = f" ({event.seconds:.1f} s)" if event.finished and event.seconds is not None else ""
    return f"{event.stage}:{counted} {event.message}{took}"


class _Lines:
    """A line when something finishes, and now and then one of what goes on."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._lock = threading.Lock()
        self._last = time.monotonic()

    def __call__(self, event: Progress, /) -> None:
        with self._lock:
            due = time.monotonic() - self._last > _SECONDS_BETWEEN_LINES
            complete = event.total is not None and event.done == event.total
            counting = event.total is not None and not complete
            starting = event.message == "started"
            if self._verbose or event.finished or complete or not (counting or starting) or (counting and due):
                self._last = time.monotonic()
                print(_line(event), file=sys.stderr, flush=True)  # noqa: T201  # the terminal is this file's business


@contextmanager
def _bars() -> Iterator[Bars]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[message]}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield bars


class _Live:
    """A bar for each kind of step that runs: training, exporting, converting, recording."""

    def __init__(self, bars: Bars, *, verbose: bool) -> None:
        self._bars = bars
        self._verbose = verbose
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Progress, /) -> None:
        with self._lock:
            kind, _, rest = event.stage.partition(" ")
            if kind not in self._tasks:
                self._tasks[kind] = self._bars.add_task(kind, total=None, message="")
            task = self._tasks[kind]
            if event.total is not None:
                self._bars.update(task, total=event.total, completed=event.done, message=event.message)
            elif event.finished:
                self._bars.update(task, advance=1, message=rest)
            else:
                self._bars.update(task, message=f"{rest} {event.message}")
            if self._verbose or event.message.startswith(("failed", "the stored")):
                self._bars.console.print(_line(event), highlight=False)
