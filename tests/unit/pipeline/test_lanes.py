"""The thread of a runtime: what runs in which order, and what is refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, cast

from pipeline.core.target import Session
from pipeline.lanes import FirstLane, RuntimeLane, Turns

SESSION = cast("Session", object())


@dataclass
class SlowToBoot:
    may_boot: Event = field(default_factory=Event)

    def missing(self) -> str | None:
        return None

    def settings(self) -> Mapping[str, str]:
        return {}

    @contextmanager
    def boot(self, scratch: Path) -> Iterator[Session]:
        del scratch
        assert self.may_boot.wait(10)
        yield SESSION


def test_a_rehearsal_comes_before_the_first_step(tmp_path: Path) -> None:
    """Shaders would be compiled by the first measured call after all."""
    runtime = SlowToBoot()
    lane = RuntimeLane(runtime, tmp_path / "scratch", steps=1, turns=Turns(at_once=1))
    seen: list[Any] = []
    rehearsed = lane.before_steps(seen.append)
    step = lane.submit(lambda: seen.append("step"))
    runtime.may_boot.set()
    step.result(10)
    lane.close().result(10)
    assert rehearsed is not None
    assert seen == [SESSION, "step"]


def test_a_rehearsal_that_comes_too_late_is_left_out(tmp_path: Path) -> None:
    """It would hold up the steps that it was to speed up."""
    runtime = SlowToBoot()
    runtime.may_boot.set()
    lane = RuntimeLane(runtime, tmp_path / "scratch", steps=2, turns=Turns(at_once=1))
    lane.submit(lambda: None).result(10)
    assert lane.before_steps(_never) is None
    lane.close().result(10)
    assert lane.before_steps(_never) is None


def test_while_artifacts_are_made_only_as_many_runtimes_answer_as_there_are_cores_to_spare(tmp_path: Path) -> None:
    """A browser that draws without a card would take the cores that the conversions behind it need."""
    turns = Turns(at_once=1)
    made = threading.Event()
    answering = threading.Semaphore(0)
    go_on = threading.Event()

    def answer() -> None:
        answering.release()
        assert go_on.wait(10)

    with ThreadPoolExecutor(1) as makers, _lanes(tmp_path, turns, count=3) as lanes:
        conversion = FirstLane(lane=makers, turns=turns).submit(made.wait, 10)
        answers = [lane.submit(answer) for lane in lanes]
        assert answering.acquire(timeout=10)
        assert not answering.acquire(timeout=0.3)
        made.set()
        assert conversion.result(10)
        assert answering.acquire(timeout=10)
        assert answering.acquire(timeout=10)
        go_on.set()
        wait(answers, timeout=10)


def test_a_runtime_whose_turn_has_not_come_hears_an_interrupt(tmp_path: Path) -> None:
    """Ctrl-C during a conversion of minutes would wait for its end."""
    turns = Turns(at_once=0)
    made = threading.Event()
    with ThreadPoolExecutor(1) as makers, _lanes(tmp_path, turns, count=1) as (lane,):
        FirstLane(lane=makers, turns=turns).submit(made.wait, 20)
        answer = lane.submit(lambda: None)
        while not answer.running():
            time.sleep(0.01)
        lane.refuse()
        lane.interrupt()
        assert isinstance(answer.exception(10), KeyboardInterrupt)
        made.set()


@contextmanager
def _lanes(folder: Path, turns: Turns, *, count: int) -> Iterator[list[RuntimeLane]]:
    runtime = SlowToBoot()
    runtime.may_boot.set()
    lanes = [RuntimeLane(runtime, folder / str(number), steps=1, turns=turns) for number in range(count)]
    yield lanes
    for lane in lanes:
        lane.close().result(10)


def _never(_: Session) -> None:
    raise AssertionError
