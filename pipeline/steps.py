"""Steps that read finished folders and make one: what is already made, and making the rest side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pipeline.core.errors import DiskProblem, TripointError
from pipeline.core.outcome import Errored
from pipeline.core.progress import Observer, Progress
from pipeline.store import Broken, Entry, Making, Recipe, Store

Result: TypeAlias = Entry | Errored


@dataclass(frozen=True, kw_only=True)
class Step:
    """One folder to be made. `recipe` and `make` are called with the entries of `needs`, in that order.

    `essential` steps end the whole run when they fail; the failure of another one is a result that the steps which need
    it inherit.
    """

    name: str
    needs: tuple[str, ...]
    recipe: Callable[[Sequence[Entry]], Recipe]
    make: Callable[[Sequence[Entry], Making], None]
    essential: bool = False


class Lanes(Protocol):
    """Where steps run. A lane runs one step at a time, in the order in which they became ready."""

    def lane_of(self, step: Step) -> Executor: ...


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where results are kept, where steps run, and who watches."""

    store: Store
    lanes: Lanes
    observer: Observer


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was found before any work: finished entries by step name, and the steps that have to be made."""

    found: Mapping[str, Entry]
    to_make: tuple[Step, ...]


def survey(steps: Sequence[Step], store: Store, observer: Observer) -> Survey:
    """Look every step up, in the order given (needs first). A damaged entry is reported and made again."""
    found: dict[str, Entry] = {}
    to_make: list[Step] = []
    for step in steps:
        if all(name in found for name in step.needs):
            recipe = step.recipe([found[name] for name in step.needs])
            match store.find(recipe):
                case Entry() as entry:
                    found[step.name] = entry
                    continue
                case Broken(reason=reason):
                    observer(
                        Progress(stage=step.name, message=f"the stored artifact is damaged, remaking it: {reason}")
                    )
                case None:
                    pass
        to_make.append(step)
    return Survey(found=found, to_make=tuple(to_make))


def make_all(surveyed: Survey, workplace: Workplace) -> dict[str, Result]:
    """Make what is missing, each step as soon as what it needs is there; results by step name, the found ones included.

    Raises what an essential step raised, DiskProblem from any step, and whatever is no TripointError.
    """
    results: dict[str, Future[Result]] = {}
    for name, entry in surveyed.found.items():
        results[name] = _settled(entry)
    for step in surveyed.to_make:
        results[step.name] = Future()
    for step in surveyed.to_make:
        _when_ready(step, [results[name] for name in step.needs], results[step.name], workplace)
    # In order, so that the error of an essential step is raised before those that it caused.
    return {name: future.result() for name, future in results.items()}


def _settled(entry: Entry) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(entry)
    return future


def _when_ready(step: Step, needs: Sequence[Future[Result]], result: Future[Result], workplace: Workplace) -> None:
    def enqueue() -> None:
        if any(need.cancelled() for need in needs):
            # An interrupted run unwinds.
            result.cancel()
            return
        failed = next((need.exception() for need in needs if need.exception() is not None), None)
        if failed is not None:
            result.set_exception(failed)
            return
        entries: list[Entry] = []
        for need in needs:
            match need.result():
                case Errored() as inherited:
                    result.set_result(inherited)
                    return
                case Entry() as entry:
                    entries.append(entry)
        try:
            running = workplace.lanes.lane_of(step).submit(_make_one, step, entries, workplace)
        except RuntimeError as closing:
            # The lane closes while an interrupted run unwinds; nobody waits for this result any more.
            result.set_exception(closing)
            return
        running.add_done_callback(lambda done: _pass_on(done, result))

    _after_all(needs, enqueue)


def _after_all(futures: Sequence[Future[Result]], then: Callable[[], None]) -> None:
    """Call `then` once, in whichever thread settles the last of the futures."""
    if not futures:
        then()
        return
    first, rest = futures[0], futures[1:]
    first.add_done_callback(lambda _: _after_all(rest, then))


def _pass_on(source: Future[Result], result: Future[Result]) -> None:
    if source.cancelled():
        result.cancel()
        return
    error = source.exception()
    if error is None:
        result.set_result(source.result())
    else:
        result.set_exception(error)


def _make_one(step: Step, entries: Sequence[Entry], workplace: Workplace) -> Result:
    store, observer = workplace.store, workplace.observer
    started = time.perf_counter()
    observer(Progress(stage=step.name, message="started"))
    recipe = step.recipe(entries)
    try:
        with store.making(recipe) as making:
            step.make(entries, making)
            making.facts["seconds"] = time.perf_counter() - started
    except DiskProblem:
        raise
    except TripointError as error:
        if step.essential:
            raise
        observer(Progress(stage=step.name, message=f"failed: {error.problem}", finished=True))
        return Errored(problem=error.problem, hint=error.hint)
    observer(Progress(stage=step.name, message="done", finished=True, seconds=time.perf_counter() - started))
    match store.find(recipe):
        case Entry() as entry:
            return entry
        case Broken() | None as lost:
            raise RuntimeError(f"{step.name}: what was just made cannot be found again: {lost}")
