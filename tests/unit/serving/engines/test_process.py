"""Server processes: started, watched, ended, and dead when their owner is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from serving.engines.process import LOG_LIMIT, ended_afterwards, launch, log_tail

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def wait_for_line(log: Path) -> None:
    deadline = time.monotonic() + 10
    while "up" not in log_tail(log):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_server_started_by_a_thread_outlives_the_thread(tmp_path: Path) -> None:
    """The pipeline boots servers from worker threads; Linux takes the end of such a thread for the parent's death."""
    started = []
    thread = threading.Thread(target=lambda: started.append(launch(SLEEP, log=tmp_path / "log")))
    thread.start()
    thread.join()
    (process,) = started
    with ended_afterwards(process):
        wait_for_line(tmp_path / "log")
        time.sleep(0.2)
        assert process.exit_status() is None
    assert process.exit_status() == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel does this")
def test_a_server_dies_with_its_killed_owner(tmp_path: Path, repository: Path) -> None:
    """After SIGKILL no `with` block runs, and the server would hold its memory until somebody finds it."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from serving.engines.process import launch\n"
        f"process = launch({SLEEP!r}, log=Path(sys.argv[1]))\n"
        "print(process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    log = tmp_path / "log"
    command = [sys.executable, "-c", program, str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=repository) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        wait_for_line(log)
        owner.kill()
    assert gone_within(pid, 5)


def test_a_server_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    """A server stuck in a kernel does not look at signals."""
    process = launch(STUBBORN, log=tmp_path / "log")
    with ended_afterwards(process, polite_seconds=0.2):
        wait_for_line(tmp_path / "log")
    assert process.exit_status() == -signal.SIGKILL


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(tmp_path: Path) -> None:
    """It goes to the whole foreground group; a server that dies first makes a clean stop look like a crash."""
    process = launch(SLEEP, log=tmp_path / "log")
    with ended_afterwards(process):
        wait_for_line(tmp_path / "log")
        assert os.getpgid(process.pid) != os.getpgid(0)


def test_a_command_that_does_not_exist_says_so_in_the_log(tmp_path: Path) -> None:
    """The interpreter that becomes the command is the last to know."""
    process = launch(["/nowhere/tensorflow_model_server"], log=tmp_path / "log")
    process.wait(10)
    assert process.exit_status() == 1
    assert "FileNotFoundError" in log_tail(tmp_path / "log")


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    """A server that logged all night would fill the message, and memory."""
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(LOG_LIMIT // 5)))
    lines = log_tail(log).splitlines()
    assert len(lines) == 20
    assert lines[-1] == f"line {LOG_LIMIT // 5 - 1}"
