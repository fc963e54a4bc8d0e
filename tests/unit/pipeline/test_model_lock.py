"""One run of a model at a time, between real processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.core.errors import EnvironmentProblem
from pipeline.core.progress import Progress, nobody
from pipeline.model_lock import alone

HOLDER = """
import sys
from pathlib import Path
from pipeline.core.progress import nobody
from pipeline.model_lock import alone
with alone(Path(sys.argv[1]), "digits", wait=True, observer=nobody):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(store: Path, repository: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the model `digits` until it is killed, or its stdin closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store)],
        cwd=repository,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_who_is_not_to_wait_fails_and_names_the_other(tmp_path: Path, repository: Path) -> None:
    """A pipeline would hang without a word, or sweep away what another run is making."""
    with holding(tmp_path, repository) as other:
        with (
            pytest.raises(EnvironmentProblem, match=rf"process {other.pid}, since \d\d:\d\d:\d\d\) is using digits"),
            alone(tmp_path, "digits", wait=False, observer=nobody),
        ):
            raise AssertionError("two processes have one model")
        with alone(tmp_path, "mlp", wait=False, observer=nobody):
            pass


def test_who_waits_says_so_and_goes_on_when_the_other_is_killed(tmp_path: Path, repository: Path) -> None:
    """A lock that a killed run leaves would stop every later one until somebody finds and removes it."""
    said: list[Progress] = []
    waiting = threading.Event()

    def observer(event: Progress, /) -> None:
        said.append(event)
        waiting.set()

    with holding(tmp_path, repository) as other:

        def kill_once_it_waits() -> None:
            waiting.wait(20)
            other.kill()

        killer = threading.Thread(target=kill_once_it_waits)
        killer.start()
        with alone(tmp_path, "digits", wait=True, observer=observer):
            assert waiting.is_set(), "it did not wait"
        killer.join()
    assert f"process {other.pid}" in said[0].message
    assert "--no-wait" in said[0].message
    assert said[-1].finished


def test_the_model_is_free_again_afterwards(tmp_path: Path) -> None:
    """A second run in the same process, as a test suite makes, would wait for itself; so would one after an error."""
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), alone(tmp_path, "digits", wait=False, observer=nobody):
            raise ZeroDivisionError
    assert (tmp_path / "digits.lock").read_bytes() == b""
