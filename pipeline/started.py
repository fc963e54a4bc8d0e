"""What a run starts before its first step: workers, runtimes that boot while a model trains, and the rehearsal."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from pipeline import stages
from pipeline.cells import Cell
from pipeline.core.artifact import Format
from pipeline.core.target import Runtime, SideBySide
from pipeline.lanes import FirstLane, LanesByStep, RuntimeLane, Turns, runtime_lanes
from pipeline.model_files import ModelFile
from pipeline.plan import TFJS_WORKER, Planner
from pipeline.recipes import PREFLIGHT, TRAIN
from pipeline.rehearsal import Rehearsal, rehearsing
from pipeline.standing import Standing
from pipeline.steps import Step

Lanes: TypeAlias = dict[str, RuntimeLane]
"""The lane of each step that records."""

Places: TypeAlias = dict[str, tuple[Runtime, list[Cell]]]
"""Each runtime that is booted, and the cells that it is for."""


@contextmanager
def running(
    planner: Planner, to_make: Sequence[Step], stale: Sequence[Cell], *, lanes: Lanes, shared: Standing | None
) -> Iterator[LanesByStep]:
    """Start everything that is slow to start: workers, and the runtimes of the `stale` cells."""
    names = {step.name for step in to_make}
    places = _places(stale, shared)
    turns = Turns(at_once=max(1, (os.cpu_count() or 1) - planner.maker_processes))
    with (
        tempfile.TemporaryDirectory(prefix="tripoint-") as scratch,
        _makers(planner) as makers,
        ThreadPoolExecutor(1, thread_name_prefix=TFJS_WORKER) as tfjs,
        runtime_lanes(
            {key: runtime for key, (runtime, _) in places.items()},
            Path(scratch),
            steps={key: len(cells) for key, (_, cells) in places.items()},
            turns=turns,
        ) as by_key,
        _rehearsing(planner, names, _variants(places, by_key), Path(scratch)),
    ):
        lanes |= {cell.step: by_key[key] for key, (_, cells) in places.items() for cell in cells}
        if any(name.startswith(("convert tfjs", PREFLIGHT)) for name in names):
            # Not waited for: a warm-up that fails shows again, with its message, in the conversion itself.
            planner.workers.executor(TFJS_WORKER).submit(stages.warm_tfjs)
        by_step: dict[str, Executor] = {step.name: makers for step in to_make}
        by_step |= {step.name: tfjs for step in to_make if step.name.startswith(("convert tfjs", PREFLIGHT))}
        by_step |= {
            name: FirstLane(lane=lane, turns=turns) for name, lane in by_step.items() if name.startswith("convert ")
        }
        by_step |= lanes
        try:
            yield LanesByStep(lanes=by_step)
        except BaseException:
            # Before the lanes close: a step that waits for a worker waits in vain only once the worker is gone.
            planner.workers.stop()
            raise


@contextmanager
def _rehearsing(
    planner: Planner, names: Collection[str], variants: Sequence[tuple[RuntimeLane, Sequence[str]]], scratch: Path
) -> Iterator[None]:
    """A rehearsal in the browsers, while a model of ours trains."""
    if TRAIN not in names or not isinstance(planner.file, ModelFile) or not variants:
        yield
        return
    rehearsal = Rehearsal(
        file=planner.file,
        workers=planner.workers,
        tfjs_worker=TFJS_WORKER,
        lowering=planner.config.convert.lowering,
        batch_sizes=planner.config.parity.batch_sizes,
        variants=variants,
    )
    with rehearsing(rehearsal, scratch / "rehearsal"):
        yield


def _variants(places: Places, lanes: Mapping[str, RuntimeLane]) -> list[tuple[RuntimeLane, Sequence[str]]]:
    """The variants that each lane of TF.js will be asked for; first those that take long, and so start in copies."""
    found = {
        key: tuple(dict.fromkeys(cell.target.variant for cell in own if cell.target.consumes is Format.TFJS))
        for key, (_, own) in places.items()
    }
    copied = {key: isinstance(runtime, SideBySide) and runtime.copies > 1 for key, (runtime, _) in places.items()}
    return [(lanes[key], found[key]) for key in sorted(found, key=lambda key: not copied[key]) if found[key]]


def _places(stale: Sequence[Cell], shared: Standing | None) -> Places:
    """Each runtime that is to be booted, as often as it is of use, with the cells for each; keys may be file names."""
    by_runtime: dict[Runtime, list[Cell]] = {}
    for cell in stale:
        by_runtime.setdefault(cell.target.runtime, []).append(cell)
    places: Places = {}
    for runtime, own in by_runtime.items():
        # What several runs share is up once.
        copies = min(runtime.copies, len(own)) if shared is None and isinstance(runtime, SideBySide) else 1
        booted = runtime if shared is None else shared.runtime(runtime)
        for copy in range(copies):
            places[f"{len(places)}-{type(runtime).__name__.lower()}"] = (booted, own[copy::copies])
    return places


@contextmanager
def _makers(planner: Planner) -> Iterator[Executor]:
    pool = ThreadPoolExecutor(planner.maker_processes, thread_name_prefix="makers")
    try:
        yield pool
    finally:
        # Its threads wait for workers, which end after this block; waiting here for them would never end.
        pool.shutdown(wait=False, cancel_futures=True)
