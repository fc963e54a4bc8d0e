"""Processes that find TensorFlow already imported, because they are forked from one that did it once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import ParamSpec, TypeVar

from pipeline.core.errors import EnvironmentProblem, WorkerDied
from pipeline.core.progress import Observer, Progress

P = ParamSpec("P")
T = TypeVar("T")

_TERMINATE_WITHIN_SECONDS = 5.0
# A pipe takes 4,096 bytes in one piece; a character has four at most, and the rest of an event a few hundred.
_MESSAGE_CHARACTERS = 800
_SAFE_PATH = "PYTHONSAFEPATH"
# Unix allows 107 characters, and multiprocessing adds `/pymp-xxxxxxxx/listener-xxxxxxxx`.
_SOCKET_ADDRESS_CHARACTERS = 107 - 32
_STOPPED = "the workers were stopped"

# Set in a worker only, by its initializer: where its progress goes.
_events: Connection[Progress | None, Progress | None] | None = None


def observer_of_this_worker(event: Progress, /) -> None:
    """The observer to hand to a stage that runs in a worker."""
    if _events is None:
        raise RuntimeError("this process is not a worker")
    # Without a lock, which a worker that is killed would keep: the kernel writes so little in one piece.
    _events.send(replace(event, message=event.message[:_MESSAGE_CHARACTERS]))


class Workers:
    """Hands out executors and processes for as long as the `workers` block lasts; nothing starts before the first."""

    def __init__(self, *, logs: Path, observer: Observer, stack: ExitStack) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["pipeline.preload"])
        self._logs = logs
        self._observer = observer
        self._stack = stack
        self._lock = threading.Lock()
        self._executors: dict[str, ProcessPoolExecutor] = {}
        self._stopped = False

    def call(self, name: str, processes: int, fn: Callable[P, T], /, *args: P.args, **settings: P.kwargs) -> T:
        """What `fn` returns or raises in the executor of that name.

        Where its process ends instead, as a fault in a converter's native code ends it, `fn` runs once more, alone:
        another one's call may have been at fault. Raises WorkerDied when it ends again.
        """
        executor = self.executor(name, processes=processes)
        try:
            return executor.submit(fn, *args, **settings).result()
        except BrokenProcessPool:
            self._forget(name, executor)
        return self.call_alone(name, fn, *args, **settings)

    def call_alone(self, name: str, fn: Callable[P, T], /, *args: P.args, **settings: P.kwargs) -> T:
        """What `fn` returns or raises in a process that did nothing before and does nothing afterwards.

        Raises WorkerDied when the process ends instead.
        """
        alone = f"{name}-alone-{threading.get_ident()}"
        executor = self.executor(alone)
        future = executor.submit(fn, *args, **settings)
        (process,) = list((executor._processes or {}).values())  # noqa: SLF001  # who else knows how it ended
        try:
            return future.result()
        except BrokenProcessPool:
            # The pool's own thread buries it. Asked by two at once, multiprocessing gives one of them 255.
            executor.shutdown(wait=True)
            raise _died(process.exitcode, self._logs / f"{alone}.log") from None
        finally:
            self._forget(alone, executor)

    def _forget(self, name: str, executor: Executor) -> None:
        """Let the next call make a new one. Raises BrokenProcessPool when it broke because all is being stopped."""
        with self._lock:
            if self._stopped:
                raise BrokenProcessPool(_STOPPED)
            if self._executors.get(name) is executor:
                del self._executors[name]
        executor.shutdown(wait=False)

    def end(self, name: str) -> None:
        """Stop the executor of that name, whatever it does; the next call makes a new one. May be repeated."""
        with self._lock:
            executor = self._executors.pop(name, None)
        if executor is not None:
            _stop(executor)

    def executor(self, name: str, *, processes: int = 1) -> ProcessPoolExecutor:
        """The executor of that name, made at the first call; what its processes print goes to `<logs>/<name>.log`.

        Raises BrokenProcessPool when all is being stopped.
        """
        with self._lock:
            if self._stopped:
                raise BrokenProcessPool(_STOPPED)
            if name not in self._executors:
                _start_forking_process()
                executor = ProcessPoolExecutor(
                    processes,
                    mp_context=self._context,
                    initializer=_prepare_worker,
                    initargs=(self._events, str(self._logs / f"{name}.log"), self._scratch),
                )
                self._stack.callback(_stop, executor)
                self._executors[name] = executor
            return self._executors[name]

    def launch(self, target: Callable[..., None], *args: object) -> BaseProcess:
        """Start `target(*args)` in a process of its own. The caller ends it; it dies with this process in any case."""
        with self._lock:
            _start_forking_process()
        process = self._context.Process(target=_watched, args=(self._scratch, target, *args), daemon=True)
        process.start()
        return process

    def stop(self) -> None:
        """End every process now, whatever it does; calls that wait for one raise BrokenProcessPool. May be repeated."""
        self._stopped = True
        self._stack.close()

    @cached_property
    def _scratch(self) -> str:
        return self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tripoint-workers-"))

    @cached_property
    def _events(self) -> Connection[Progress | None, Progress | None]:
        heard, said = self._context.Pipe(duplex=False)
        listener = threading.Thread(target=_listen, args=(heard, self._observer), name="progress", daemon=True)
        listener.start()
        self._stack.callback(listener.join)
        self._stack.callback(said.send, None)
        return said


def _start_forking_process() -> None:
    """Start what workers are forked from, where it does not run yet.

    Python 3.11 lets it look for modules in the current folder first: a `code.py` of the user's, or a folder `pipeline`,
    would be taken for what TensorFlow or we mean by that name.
    """
    # Whatever else is started in this moment inherits it, too: the edge runner has to leave it out.
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    # Ctrl-C goes to the whole terminal group. Until it has imported what lets it ignore that, its traceback would reach
    # the terminal; the mask of this thread is what it starts with.
    unmasked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


@contextmanager
def workers(*, logs: Path, observer: Observer) -> Iterator[Workers]:
    """Yield the source of workers, which costs nothing until it is used. No process is left when the block ends.

    `logs` is a folder that exists by the time the first worker starts. Raises EnvironmentProblem for a temporary folder
    in which no socket can be.
    """
    room = _SOCKET_ADDRESS_CHARACTERS - len(tempfile.gettempdir())
    if room < 0:
        raise EnvironmentProblem(
            f"the temporary folder's path is {-room} characters too long for a socket: {tempfile.gettempdir()}",
            hint="set TMPDIR to a shorter path",
        )
    with ExitStack() as stack:
        yield Workers(logs=logs, observer=observer, stack=stack)


def _died(exit_code: int | None, log: Path) -> WorkerDied:
    named = signal.Signals(-exit_code).name if exit_code is not None and exit_code < 0 else f"exit status {exit_code}"
    hint = f"a fault of the library that was called ({log} has its words): leave out what asked for it"
    if exit_code == -signal.SIGKILL:
        hint = "the system kills what takes too much memory: close other programs, or use a machine with more"
    return WorkerDied(f"the process that did it ended with {named}, although nothing else ran in it", hint=hint)


def _listen(heard: Connection[Progress | None, Progress | None], observer: Observer) -> None:
    while (event := heard.recv()) is not None:
        observer(event)


def _prepare_worker(events: Connection[Progress | None, Progress | None], log: str, scratch: str) -> None:
    global _events  # noqa: PLW0603  # an initializer has no other way to hand something to the tasks
    _events = events
    _prepare_process(scratch)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, sys.stdout.fileno())
    os.dup2(descriptor, sys.stderr.fileno())
    os.close(descriptor)


def _watched(scratch: str, target: Callable[..., None], *args: object) -> None:
    _prepare_process(scratch)
    target(*args)


def _prepare_process(scratch: str) -> None:
    # Ctrl-C goes to the whole terminal group; the parent decides when workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # TensorFlow leaves files of generated code in the temporary folder of a process that is killed.
    tempfile.tempdir = scratch
    _die_with_parent()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("this process has no parent that multiprocessing knows")

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


def _stop(executor: ProcessPoolExecutor) -> None:
    # What runs now is not waited for: the block ends either because all is done, or because nothing is wanted any more.
    processes = list((executor._processes or {}).values())  # noqa: SLF001  # 3.14 has terminate_workers(), 3.11 nothing
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_TERMINATE_WITHIN_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
