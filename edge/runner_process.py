"""The runner's process as its driver sees it: started, asked with a deadline, and gone when the block ends."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.interpreter import KEEPS_TO_FIRST_BATCH
from edge.wire import Frame, NotAFrame, Printed, encoded, read_frame
from pipeline.core.errors import TargetFailed

_LOG_LINES_SHOWN = 15
_BYTES_SHOWN = 200
_END_WITHIN_SECONDS = 2.0
_CAUSES = {
    -signal.SIGILL: "SIGILL means that this CPU lacks instructions which the runtime was built for",
    -signal.SIGKILL: "SIGKILL is mostly the system's answer to a lack of memory",
    -signal.SIGABRT: (
        "SIGABRT is a check inside the runtime; of an integer file mostly a sum far smaller than what is added up: "
        "`tripoint tune` tries which layers to name under keep_float in tripoint.toml, and float16 has no such check"
    ),
    -signal.SIGSEGV: "SIGSEGV in a runtime is mostly a damaged file: make the artifact again",
    -signal.SIGBUS: "SIGBUS in a runtime is mostly a damaged file: make the artifact again",
    255: "255 is ssh's own: try the same command by hand, without a password prompt",
    127: "127 is the shell's: the interpreter is not at that path over there",
    1: "if a module was not found: make setup (on a device: see edge/README.md)",
}
_AGAIN = "run it again; if it ends again, leave the precision out for this runtime, and report what it said last"
_TOO_NEW = re.compile(r"Didn't find op for builtin opcode '(?P<operation>\w+)' version '(?P<version>\d+)'")


def _mend_of(refusal: str) -> str:
    if KEEPS_TO_FIRST_BATCH in refusal:
        return (
            "`batch_sizes = [1]` under [parity] in tripoint.toml asks one size only, as an app does that keeps to one; "
            "or take the other runtime for this file"
        )
    too_new = _TOO_NEW.search(refusal)
    if too_new is None:
        return "leave the target or the precision out; docs/edge.md says what each runtime can"
    return (
        f"this runtime is older than the converter, and has {too_new['operation']} in no version {too_new['version']}: "
        "take the other runtime for this file, or leave the precision out"
    )


class _TooLate(Exception):
    """The deadline passed while bytes were awaited or could not be delivered."""


@dataclass(frozen=True, kw_only=True)
class RunnerProcess:
    """A runner that was started. Not thread-safe."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, question: Frame, *, silent_for_seconds: float) -> Frame:
        """The answer. Raises TargetFailed when the runner refuses, dies, prints, or says nothing for so long.

        A runner that was asked and neither answered nor refused is killed, whatever the reason: it is out of step.
        """
        # Before the runner is involved: what cannot travel was never sent, and leaves it in step.
        parts = encoded(question)
        answered = False
        try:
            self._send(parts, silent_for_seconds)
            while (answer := self._receive(silent_for_seconds)).header.get("running"):
                pass
            answered = True
        except _TooLate:
            raise TargetFailed(
                f"{self.name}: `{question.header['do']}` said nothing for {silent_for_seconds:g} s{self._said()}",
                hint="the runner was killed; smaller `parity.batch_sizes` in tripoint.toml take less time a call",
            ) from None
        except Printed as error:
            raise TargetFailed(
                f"{self.name}: something else than the runner answered: {error.start + self._unread()!r}{self._said()}",
                hint="see what prints there; on a device that is mostly a start-up file of the shell",
            ) from error
        except (NotAFrame, BrokenPipeError) as error:
            raise self._ended() from error
        finally:
            if not answered:
                self._kill()
        if "refused" in answer.header:
            refused = str(answer.header["refused"])
            raise TargetFailed(f"{self.name}: {refused}", hint=_mend_of(refused))
        return answer

    def _send(self, parts: Sequence[bytes], silent_for_seconds: float) -> None:
        descriptor = _pipe(self.process.stdin)
        for part in parts:
            rest = memoryview(part)
            while rest:
                _wait_for(descriptor, select.POLLOUT, silent_for_seconds)
                rest = rest[os.write(descriptor, rest) :]

    def _receive(self, silent_for_seconds: float) -> Frame:
        descriptor = _pipe(self.process.stdout)

        def read_exactly(count: int) -> bytearray:
            data = bytearray(count)
            filled = 0
            while filled < count:
                _wait_for(descriptor, select.POLLIN, silent_for_seconds)
                read = os.readv(descriptor, [memoryview(data)[filled:]])
                if read == 0:
                    break
                filled += read
            return data[:filled]

        frame = read_frame(read_exactly)
        if frame is None:
            raise NotAFrame("it closed its end")
        return frame

    def _unread(self) -> bytes:
        try:
            return os.read(_pipe(self.process.stdout), _BYTES_SHOWN)
        except BlockingIOError:  # nothing more has come yet
            return b""

    def _ended(self) -> TargetFailed:
        try:
            status = self.process.wait(_END_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            return TargetFailed(
                f"{self.name}: the runner closed its end and stayed{self._said()}",
                hint=_AGAIN,
            )
        how = f"exit code {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"
        return TargetFailed(
            f"{self.name}: the runner ended ({how}){self._said()}",
            hint=_CAUSES.get(status, _AGAIN),
        )

    def _said(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        return "".join(f"\n  {line}" for line in lines)

    def _kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def running(command: Sequence[str], *, name: str, folder: Path, log: Path) -> Iterator[RunnerProcess]:
    """Yield the process that the command starts in `folder`, its stderr appended to `log`. It is gone afterwards.

    Raises TargetFailed when the command cannot be started.
    """
    with log.open("ab") as stderr:
        try:
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                # With it Python does not find the runner, which lies in that folder.
                env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
                # Ctrl-C goes to the terminal's whole group; it is the driver who decides when the runner ends.
                start_new_session=True,
            )
        except OSError as error:
            raise TargetFailed(f"{name}: cannot start {command[0]}: {error.strerror}", hint="make setup") from error
    try:
        for pipe in (process.stdin, process.stdout):
            os.set_blocking(_pipe(pipe), False)
        yield RunnerProcess(name=name, process=process, log=log)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(_END_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(descriptor: int, event: int, seconds: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    # Hanging up counts as ready: the read or write that follows finds out.
    if not poll.poll(seconds * 1000):
        raise _TooLate


def _pipe(pipe: object) -> int:
    if pipe is None or not hasattr(pipe, "fileno"):
        raise RuntimeError("the runner was started without pipes")
    return int(pipe.fileno())
