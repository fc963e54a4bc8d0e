"""Steps: a user would wait for what is done already, or read a report of stale results."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.core.errors import ConversionFailed, DiskProblem
from pipeline.core.outcome import Errored
from pipeline.core.progress import Progress
from pipeline.steps import Result, Step, Workplace, make_all, survey
from pipeline.store import Entry, Making, Recipe, Store


@dataclass
class OneLane:
    pool: Executor

    def lane_of(self, step: Step) -> Executor:
        return self.pool


@dataclass
class Bench:
    """A store, two threads, and a note of every step that really ran."""

    store: Store
    pool: Executor
    ran: list[str] = field(default_factory=list)
    seen: list[Progress] = field(default_factory=list)

    def step(
        self,
        name: str,
        *needs: str,
        version: int = 1,
        fail: BaseException | None = None,
        essential: bool = False,
        before: Callable[[], object] = lambda: None,
    ) -> Step:
        def recipe(entries: Sequence[Entry]) -> Recipe:
            return Recipe(
                model="m", stage=name, ingredients={"version": version, "from": [entry.digest for entry in entries]}
            )

        def make(entries: Sequence[Entry], making: Making) -> None:
            before()
            self.ran.append(name)
            if fail is not None:
                raise fail
            (making.folder / "file").write_text(f"{name} {version}")

        return Step(name=name, needs=needs, recipe=recipe, make=make, essential=essential)

    def run(self, *steps: Step) -> dict[str, Result]:
        self.ran.clear()
        surveyed = survey(steps, self.store, self.seen.append)
        workplace = Workplace(store=self.store, lanes=OneLane(self.pool), observer=self.seen.append)
        return make_all(surveyed, workplace)


@contextmanager
def bench(root: Path) -> Iterator[Bench]:
    with ThreadPoolExecutor(2) as pool:
        yield Bench(store=Store(root=root), pool=pool)


def test_a_second_run_makes_nothing(tmp_path: Path) -> None:
    """Every run would cost as much as the first."""
    with bench(tmp_path) as b:
        steps = [b.step("a"), b.step("b", "a"), b.step("c", "b")]
        b.run(*steps)
        assert b.ran == ["a", "b", "c"]
        assert set(b.run(*steps)) == {"a", "b", "c"}
        assert b.ran == []


def test_only_what_depends_on_a_change_is_made_again(tmp_path: Path) -> None:
    """Changing one precision would retrain the model."""
    with bench(tmp_path) as b:
        b.run(b.step("a"), b.step("b", "a"), b.step("c", "a"), b.step("d", "b"))
        b.run(b.step("a"), b.step("b", "a", version=2), b.step("c", "a"), b.step("d", "b"))
        assert b.ran == ["b", "d"]


def test_a_step_that_makes_the_same_again_stops_there(tmp_path: Path) -> None:
    """A change that changes nothing would be paid for down to the last recording."""
    with bench(tmp_path) as b:
        b.run(b.step("a"), b.step("b", "a"))
        entry = b.run(b.step("a"))["a"]
        assert isinstance(entry, Entry)
        (entry.path / "file").write_text("damaged")
        results = b.run(b.step("a"), b.step("b", "a"))
        assert b.ran[0] == "a"
        assert any("damaged" in event.message for event in b.seen)
        assert isinstance(results["b"], Entry)


def test_a_failed_step_fails_what_needs_it_and_nothing_else(tmp_path: Path) -> None:
    """One precision that cannot be converted would hide the verdict on all the others."""
    broken = ConversionFailed("Erfc has no kernel", hint="lower it")
    with bench(tmp_path) as b:
        results = b.run(b.step("a"), b.step("b", "a", fail=broken), b.step("c", "b"), b.step("d", "a"))
    assert results["b"] == results["c"] == Errored(problem="Erfc has no kernel", hint="lower it")
    assert isinstance(results["d"], Entry)
    assert "c" not in b.ran


def test_a_failed_essential_step_ends_the_run(tmp_path: Path) -> None:
    """A report without a reference would be written."""
    with bench(tmp_path) as b, pytest.raises(ConversionFailed):
        b.run(b.step("a", fail=ConversionFailed("no", hint="-"), essential=True), b.step("b", "a"))
    assert b.ran == ["a"]


def test_a_fault_of_ours_is_not_reported_as_a_target_that_failed(tmp_path: Path) -> None:
    """A programming error would look like a broken browser."""
    with bench(tmp_path) as b, pytest.raises(ZeroDivisionError):
        b.run(b.step("a", fail=ZeroDivisionError()))


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    """Every step would fail with the same words, and the verdict would blame the targets."""
    with bench(tmp_path) as b, pytest.raises(DiskProblem):
        b.run(b.step("a", fail=DiskProblem("the disk is full", hint="free some space")), b.step("b"))


def test_a_failed_step_is_tried_again(tmp_path: Path) -> None:
    """A browser that crashed once would have crashed for ever."""
    with bench(tmp_path) as b:
        b.run(b.step("a", fail=ConversionFailed("no", hint="-")))
        assert isinstance(b.run(b.step("a"))["a"], Entry)


def test_independent_steps_run_side_by_side(tmp_path: Path) -> None:
    """Conversions would wait for one another."""
    both = threading.Barrier(2, timeout=5)
    with bench(tmp_path) as b:
        results = b.run(b.step("a", before=both.wait), b.step("b", before=both.wait))
    assert all(isinstance(result, Entry) for result in results.values())
