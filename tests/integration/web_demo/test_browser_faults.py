"""What a user is told when the browser breaks, and that nothing of it is left running."""

from __future__ import annotations

import dataclasses
import gc
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import TargetFailed
from tests.integration.web_demo.models import TestModel
from tests.integration.web_demo.processes import Process, below, gone, with_argument
from web_demo.browser_process import page_open
from web_demo.executable import find_browser
from web_demo.runtime import Browser

NOTICED_WITHIN_SECONDS = 10.0
GONE_WITHIN_SECONDS = 20.0

IsVictim = Callable[[Process], bool]


def is_page(process: Process) -> bool:
    return "--type=renderer" in process.command


def is_gpu(process: Process) -> bool:
    return "--type=gpu-process" in process.command


def is_browser(process: Process) -> bool:
    return "--user-data-dir" in process.command and "--type=" not in process.command


def is_driver(process: Process) -> bool:
    return "run-driver" in process.command


@contextmanager
def killed_soon(is_victim: IsVictim) -> Iterator[list[float]]:
    """Kill our processes of that kind a moment from now; the list holds the time at which that was done."""
    times: list[float] = []

    def kill() -> None:
        for process in below(os.getpid()):
            if is_victim(process):
                os.kill(process.pid, signal.SIGKILL)
        times.append(time.monotonic())

    timer = threading.Timer(0.7, kill)
    timer.start()
    try:
        yield times
    finally:
        timer.join()


@pytest.mark.parametrize(
    "fault",
    [
        (is_page, "the page crashed", "cpu"),
        (is_browser, "the browser, or its page, was closed or killed", "cpu"),
        (is_driver, "the browser failed", "cpu"),
        (is_gpu, "the browser lost its WebGL context", "webgl"),
    ],
    ids=["page", "browser", "driver", "gpu"],
)
def test_a_crash_in_mid_run_is_told_at_once_and_leaves_nothing(
    browser: Browser, digits: TestModel, tmp_path: Path, fault: tuple[IsVictim, str, str]
) -> None:
    """Waiting out the deadline would cost minutes, and answers of a dead page would be the last thing to compare."""
    is_victim, said, backend = fault
    many = {"image": np.repeat(digits.samples["image"], 60, axis=0)}
    with browser.boot(tmp_path) as session, session.load(digits.artifact(), backend) as runner:
        with killed_soon(is_victim) as times, pytest.raises(TargetFailed, match=said) as failed:
            runner.run(many, batch_size=1)
        assert time.monotonic() - times[0] < NOTICED_WITHIN_SECONDS
        assert "run the model at batch size 1" in failed.value.problem
        with pytest.raises(TargetFailed, match=said):
            runner.run(digits.samples, batch_size=64)
    assert gone(str(tmp_path), within_seconds=GONE_WITHIN_SECONDS)


NO_MEMORY = """
const make = WebGL2RenderingContext.prototype.texStorage2D;
WebGL2RenderingContext.prototype.texStorage2D = function (target, levels, format, width, height) {
  make.call(this, target, levels, format, width * height > 20000 ? 2 ** 30 : width, height);
};
"""


def test_textures_that_were_never_made_are_no_answers(browser: Browser, digits: TestModel, tmp_path: Path) -> None:
    """TF.js does not ask the driver whether it had the memory: a large batch would be answered with leftovers."""
    dist = tmp_path / "dist"
    shutil.copytree(browser.page_dist, dist)
    (dist / "no-memory.js").write_text(NO_MEMORY)
    page = dist / "parity.html"
    page.write_text(page.read_text().replace("<head>", '<head><script src="./no-memory.js"></script>'))
    with (
        dataclasses.replace(browser, page_dist=dist).boot(tmp_path / "browser") as session,
        session.load(digits.artifact(), "webgl") as runner,
    ):
        runner.run({"image": digits.samples["image"][:1]}, batch_size=1)
        with pytest.raises(TargetFailed, match="WebGL reported INVALID_VALUE"):
            runner.run(digits.samples, batch_size=64)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3, 0.6])
def test_a_browser_that_is_let_go_in_the_midst_of_its_start_leaves_no_driver(
    browser: Browser, tmp_path: Path, seconds: float
) -> None:
    """A run that fails at once would leave one behind each time, and Python complains of it whenever it likes."""
    executable = browser.executable or find_browser()
    assert executable is not None
    before = [process.pid for process in below(os.getpid()) if is_driver(process)]
    with page_open("about:blank", executable=executable, headless=True, scratch=tmp_path, broke=print):
        time.sleep(seconds)
    assert [process.pid for process in below(os.getpid()) if is_driver(process)] == before
    # pytest makes an error of what is collected unclosed.
    gc.collect()


def test_a_browser_that_dies_while_nobody_asks_is_told_at_the_next_question(
    browser: Browser, digits: TestModel, tmp_path: Path
) -> None:
    """The browser boots early and waits while a model trains; its death then must not hang the run later."""
    with browser.boot(tmp_path) as session:
        with killed_soon(is_browser):
            pass
        time.sleep(1)
        asked = time.monotonic()
        with pytest.raises(TargetFailed, match="closed or killed"), session.load(digits.artifact(), "cpu"):
            pass
        assert time.monotonic() - asked < NOTICED_WITHIN_SECONDS


def test_a_page_that_hangs_is_given_up_after_the_deadline(browser: Browser, digits: TestModel, tmp_path: Path) -> None:
    """Without a deadline a page that hangs would hang the whole run, in CI for hours."""
    impatient = Browser(executable=browser.executable, answer_within_seconds=1.0)
    with impatient.boot(tmp_path) as session, session.load(digits.artifact(), "cpu") as runner:
        pages = [process for process in with_argument(str(tmp_path)) if is_page(process)]
        pages += [process for process in below(os.getpid()) if is_page(process)]
        for page in pages:
            os.kill(page.pid, signal.SIGSTOP)
        try:
            with pytest.raises(TargetFailed, match="no progress for 1 s"):
                runner.run(digits.samples, batch_size=1)
        finally:
            for page in pages:
                os.kill(page.pid, signal.SIGCONT)


def test_a_long_run_is_not_taken_for_a_page_that_hangs(browser: Browser, digits: TestModel, tmp_path: Path) -> None:
    """The deadline is for a page without progress: a large test set may take as long as it takes."""
    patience = 2.0
    impatient = Browser(executable=browser.executable, answer_within_seconds=patience)
    with impatient.boot(tmp_path) as session, session.load(digits.artifact(), "cpu") as runner:
        # However fast this machine is, and however much of its speed it had while it was measured.
        measured = [runner.run(digits.samples, batch_size=60).call_seconds.sum() for _ in range(3)]
        times = math.ceil(2 * patience / min(measured))
        answers = runner.run({"image": np.repeat(digits.samples["image"], times, axis=0)}, batch_size=60)
    assert answers.call_seconds.sum() > patience


def test_an_exception_in_the_with_block_leaves_nothing(browser: Browser, tmp_path: Path) -> None:
    """Whatever fails elsewhere, a browser that nobody sees must not stay behind."""
    with pytest.raises(KeyError), browser.boot(tmp_path):
        raise KeyError
    assert gone(str(tmp_path), within_seconds=0)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_a_program_that_is_ended_takes_its_browser_along(
    browser: Browser, repository: Path, tmp_path: Path, how: signal.Signals
) -> None:
    """After Ctrl-C, or a CI job that is killed, a browser would go on eating memory."""
    program = (
        "import sys, time; from pathlib import Path; from web_demo.runtime import Browser\n"
        "with Browser().boot(Path(sys.argv[1])): print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        assert with_argument(str(tmp_path / "profile")) != []
        # To the whole group where a terminal does so: the driver must not end the browser behind our back.
        send = os.killpg if how == signal.SIGINT else os.kill
        send(running.pid, how)
        running.wait(timeout=GONE_WITHIN_SECONDS)
    assert gone(str(tmp_path), within_seconds=GONE_WITHIN_SECONDS)


def test_a_browser_that_is_no_browser_says_so(tmp_path: Path) -> None:
    """The message has to hold what the program said, not only that something did not open in time."""
    pretender = tmp_path / "chrome"
    pretender.write_text("#!/bin/sh\necho 'no display, no sandbox, no luck' >&2\nexit 1\n")
    pretender.chmod(0o755)
    with pytest.raises(TargetFailed, match="no luck"), Browser(executable=pretender).boot(tmp_path):
        pass


def test_an_idle_browser_costs_next_to_nothing(browser: Browser, tmp_path: Path) -> None:
    """It waits while the model trains on the same cores."""
    with browser.boot(tmp_path):
        time.sleep(2)
        before = _cpu_seconds()
        time.sleep(2)
        spent = _cpu_seconds() - before
    assert spent < 0.2


def _cpu_seconds() -> float:
    return sum(_cpu_seconds_of(process.pid) for process in below(os.getpid()))


def _cpu_seconds_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
