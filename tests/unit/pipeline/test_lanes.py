"""The thread of a runtime: what runs in which order, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, cast

from pipeline.core.target import Session
from pipeline.lanes import RuntimeLane

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
    lane = RuntimeLane(runtime, tmp_path / "scratch", steps=1)
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
    lane = RuntimeLane(runtime, tmp_path / "scratch", steps=2)
    lane.submit(lambda: None).result(10)
    assert lane.before_steps(_never) is None
    lane.close().result(10)
    assert lane.before_steps(_never) is None


def _never(_: Session) -> None:
    raise AssertionError
