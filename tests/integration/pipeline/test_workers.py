"""What becomes of a call whose process ends: native code of the converters can do that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path

import pytest

from pipeline.core.errors import WorkerDied
from pipeline.core.progress import nobody
from pipeline.workers import workers


def test_a_call_that_ends_its_process_says_how(tmp_path: Path) -> None:
    """A converter's segmentation fault would end the whole run with a traceback."""
    with workers(logs=tmp_path, observer=nobody) as crew:
        with pytest.raises(WorkerDied, match="SIGSEGV") as caught:
            crew.call("makers", 1, _die)
        assert str(tmp_path) in caught.value.hint
        assert crew.call("makers", 1, abs, -3) == 3


def test_what_shared_the_executor_is_done_all_the_same(tmp_path: Path) -> None:
    """A pool breaks as a whole: the other conversions would be reported as failed, and are not at fault."""
    with workers(logs=tmp_path, observer=nobody) as crew, ThreadPoolExecutor(3) as threads:
        together = threading.Barrier(2)

        def good() -> int:
            together.wait()
            return crew.call("makers", 2, _slow_answer, str(tmp_path / "killed"))

        def bad() -> None:
            together.wait()
            crew.call("makers", 2, _die_once_seen, str(tmp_path / "killed"))

        answer, death = threads.submit(good), threads.submit(bad)
        with pytest.raises(WorkerDied, match="SIGSEGV"):
            death.result()
        assert answer.result() == 7


def test_what_forks_the_workers_starts_deaf_to_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted while it was imported, it left a traceback behind the sentence that all had been stopped."""
    masks = []
    start = forkserver.ensure_running

    def started() -> None:
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        start()

    monkeypatch.setattr(forkserver, "ensure_running", started)
    with workers(logs=tmp_path, observer=nobody) as crew:
        assert crew.call("makers", 1, abs, -3) == 3
    assert masks
    assert all(signal.SIGINT in mask for mask in masks)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_the_users_own_files_are_not_taken_for_modules(tmp_path: Path) -> None:
    """A `code.py` beside the model made every command end with a fault of ours: TensorFlow imports a `code`, too."""
    users = tmp_path / "users"
    (users / "pipeline").mkdir(parents=True)
    for name in ("code.py", "pipeline/__init__.py"):
        (users / name).write_text("raise RuntimeError('this is no library')")
    script = tmp_path / "elsewhere.py"
    script.write_text(
        "from pathlib import Path\n"
        "from pipeline.core.progress import nobody\n"
        "from pipeline.workers import workers\n"
        "if __name__ == '__main__':\n"
        "    with workers(logs=Path(), observer=nobody) as crew:\n"
        "        for name in ('code', 'pipeline.preload'):\n"
        "            print(crew.call('makers', 1, eval, f'__import__({name!r}).__name__'))\n"
    )
    done = subprocess.run([sys.executable, script], cwd=users, capture_output=True, text=True, check=False, timeout=200)
    assert done.stdout.split() == ["code", "pipeline"], done.stderr


def _die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _slow_answer(mark: str) -> int:
    deadline = time.monotonic() + 60
    while not Path(mark).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return 7


def _die_once_seen(mark: str) -> None:
    Path(mark).touch()
    _die()
