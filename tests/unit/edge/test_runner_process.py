"""How the driver sees runners that misbehave: each a small script that speaks as much of the wire as it takes."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edge.runner_process import RunnerProcess, running
from edge.wire import Frame
from pipeline.core.errors import TargetFailed

_PREAMBLE = """
import os, sys, time
from edge.wire import Frame, encoded, read_frame
def read(): return read_frame(sys.stdin.buffer.read)
def send(frame):
    sys.stdout.buffer.writelines(encoded(frame)); sys.stdout.buffer.flush()
"""


@contextmanager
def runner(script: str, folder: Path) -> Iterator[RunnerProcess]:
    command = (sys.executable, "-c", _PREAMBLE + textwrap.dedent(script))
    root = Path(__file__).resolve().parents[3]
    with running(command, name="LiteRT", folder=root, log=folder / "runner.log") as process:
        yield process


def test_an_answer_comes_back(tmp_path: Path) -> None:
    """The plain case, with signs of life before the answer."""
    script = """
        question = read()
        for _ in range(3): send(Frame({"running": True}))
        send(Frame({"said": question.header["do"]}, question.arrays))
    """
    with runner(script, tmp_path) as process:
        answer = process.ask(Frame({"do": "echo"}, {"a": np.arange(3)}), silent_for_seconds=30)
    assert answer.header == {"said": "echo"}
    np.testing.assert_array_equal(answer.arrays["a"], np.arange(3))


def test_a_refusal_is_an_error_and_the_runner_lives(tmp_path: Path) -> None:
    """A wrong request must not cost the runner that took seconds to start."""
    script = """
        read(); send(Frame({"refused": "not with me"}))
        read(); send(Frame({"fine": True}))
    """
    with runner(script, tmp_path) as process:
        with pytest.raises(TargetFailed, match="LiteRT: not with me"):
            process.ask(Frame({"do": "run"}), silent_for_seconds=30)
        assert process.ask(Frame({"do": "run"}), silent_for_seconds=30).header == {"fine": True}


@pytest.mark.parametrize(
    ("refusal", "mend"),
    [
        ("Didn't find op for builtin opcode 'SQRT' version '2'. An older version", "has SQRT in no version 2"),
        ("this file keeps to the size of the first batch here", "`batch_sizes = [1]` under [parity]"),
        ("something else", "docs/edge.md"),
    ],
)
def test_a_refusal_says_what_helps(tmp_path: Path, refusal: str, mend: str) -> None:
    """It named a log that was gone when the run ended."""
    with runner(f'read(); send(Frame({{"refused": {refusal!r}}})); read()', tmp_path) as process:
        with pytest.raises(TargetFailed) as raised:
            process.ask(Frame({"do": "load"}), silent_for_seconds=30)
        assert mend in raised.value.hint


@pytest.mark.parametrize(
    ("script", "problem", "hint"),
    [
        ("read(); sys.stderr.write('no such op'); os._exit(3)", r"ended \(exit code 3\)\n  no such op", "run it again"),
        ("read(); os.kill(os.getpid(), 9)", "killed by SIGKILL", "memory"),
        ("read(); os.kill(os.getpid(), 4)", "killed by SIGILL", "CPU lacks instructions"),
        ("read(); os.kill(os.getpid(), 11)", "killed by SIGSEGV", "damaged file"),
        ("import no_such_module", "ModuleNotFoundError", "make setup"),
        ("os._exit(255)", "exit code 255", "ssh"),
        ("read(); os.write(1, b'TPE1'); os._exit(0)", "exit code 0", "run it again"),
        ("read(); print('Hello', flush=True); time.sleep(60)", "answered: b'Hello", "start-up file"),
    ],
    ids=["exit", "killed", "illegal", "crash", "import", "ssh", "broke off", "prints"],
)
def test_each_end_has_its_cause_and_its_mend(tmp_path: Path, script: str, problem: str, hint: str) -> None:
    """`exit code -4` alone tells nobody that the CPU is too old."""
    with runner(script, tmp_path) as process, pytest.raises(TargetFailed, match=problem) as raised:
        process.ask(Frame({"do": "hello"}), silent_for_seconds=30)
    assert hint in raised.value.hint


def test_silence_is_an_error(tmp_path: Path) -> None:
    """Also while a question cannot be delivered because nobody reads it."""
    with runner("time.sleep(60)", tmp_path) as process:
        with pytest.raises(TargetFailed, match=r"`run` said nothing for 0\.2 s"):
            process.ask(Frame({"do": "run"}, {"a": np.zeros(10_000_000)}), silent_for_seconds=0.2)
        assert not process.alive


def test_a_broken_off_question_ends_the_runner(tmp_path: Path) -> None:
    """After Ctrl-C in the middle of an answer, the rest of it would be taken for the next one."""
    with runner("time.sleep(60)", tmp_path) as process:
        process_id = process.process.pid
        with pytest.raises(KeyError):
            process.ask(Frame({}), silent_for_seconds=0.2)
        assert not process.alive
    assert not Path(f"/proc/{process_id}").exists()


def test_a_runner_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """The end of the block must not wait for ever."""
    started = time.monotonic()
    with runner("import signal; signal.signal(15, signal.SIG_IGN); time.sleep(60)", tmp_path) as process:
        process_id = process.process.pid
    assert not Path(f"/proc/{process_id}").exists()
    assert time.monotonic() - started < 30


def test_an_interpreter_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The commonest fault of all: nobody ran `make setup`."""
    with (
        pytest.raises(TargetFailed, match="cannot start /nowhere/python") as raised,
        running(("/nowhere/python",), name="LiteRT", folder=tmp_path, log=tmp_path / "log"),
    ):
        pass
    assert raised.value.hint == "make setup"
