"""The library behind `tripoint preflight`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline import golden, main_job
from pipeline.adoption import Adopted
from pipeline.cells import Cell, artifact_of, cells
from pipeline.config import Config
from pipeline.core.artifact import Format
from pipeline.core.errors import TargetFailed
from pipeline.core.progress import Observer, nobody
from pipeline.core.signature import Tensors, sample_count
from pipeline.core.target import Runner, Runtime
from pipeline.model_files import ModelFile
from pipeline.preflight.findings import Preflight, Trial
from pipeline.preflighting import preflight_of
from pipeline.recipes import sizes_for
from pipeline.store import Entry
from pipeline.targets import targets
from pipeline.workers import workers
from pipeline.workflow import Ran, run_alone


def preflight(
    file: ModelFile | Adopted, config: Config, *, quick: bool, lowering: bool | None, observer: Observer
) -> Preflight:
    """Say for every target and precision whether the model will run there.

    Trains and exports what is not up to date. Unless `quick`, everything is converted, too, which is kept for a run,
    and every TFLite file is asked in each edge runtime that is here. Raises as `run_alone` does.
    """
    asked = main_job.job(file, config, until="preflight" if quick else "convert", lowering=lowering)
    ran = run_alone(asked, observer=observer)
    with workers(logs=Path(), observer=nobody) as crew:
        every = cells(targets(asked.config, file.name, crew), asked.config)
    return preflight_of(
        ran, file.name, asked.config, every, {} if quick else _asked(ran, every, asked.config, file.name)
    )


def _asked(ran: Ran, every: Sequence[Cell], config: Config, model: str) -> dict[str, Trial]:
    found: dict[str, Trial] = {}
    on_edge = [cell for cell in every if cell.target.consumes is Format.TFLITE]
    for runtime in dict.fromkeys(cell.target.runtime for cell in on_edge):
        if runtime.missing() is None:
            found |= _asked_of(
                runtime, [cell for cell in on_edge if cell.target.runtime == runtime], ran, config, model
            )
    return found


def _asked_of(runtime: Runtime, on_it: Sequence[Cell], ran: Ran, config: Config, model: str) -> dict[str, Trial]:
    found: dict[str, Trial] = {}
    samples = golden.load(ran.trained.path / golden.GOLDEN_FILE).inputs
    with tempfile.TemporaryDirectory(prefix="tripoint-preflight-") as scratch, runtime.boot(Path(scratch)) as session:
        for cell in on_it:
            made = ran.artifacts.get(cell.artifact_step)
            if not isinstance(made, Entry):
                continue
            artifact = artifact_of(cell.target.consumes, cell.precision, model, exported=ran.exported, made=made)
            sizes = sizes_for(ran.exported, made, config.parity.batch_sizes)
            try:
                with session.load(artifact, cell.target.variant) as runner:
                    _ask(runner, samples, sizes)
                found[cell.name] = Trial(problem=None)
            except TargetFailed as error:
                found[cell.name] = Trial(problem=error.problem, hint=error.hint)
    return found


def _ask(runner: Runner, samples: Tensors, batch_sizes: Sequence[int]) -> None:
    """One call at each of the two smallest batch sizes: some kernels fail when called, some when the size changes."""
    for size in sorted(batch_sizes)[:2]:
        if size <= sample_count(samples):
            runner.run({name: array[:size] for name, array in samples.items()}, batch_size=size)
