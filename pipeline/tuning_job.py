"""The library behind `tripoint tune`: make variants, run them, and find the smallest that is good enough.

Each precision is tried first. Where the smallest is not good enough, each layer with weights is kept in float by
itself: what that gains says how much of the error is the layer's. Then layers are added in the order of what they gain
for each byte, until the budget is met.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from edge.runtime import EdgeProcess
from pipeline.cells import convert_step
from pipeline.config import ModelConfig
from pipeline.core.artifact import Format, Precision
from pipeline.core.errors import UsageError
from pipeline.core.progress import Observer, Progress
from pipeline.reporting import rows_of
from pipeline.stages import KERAS_FILE
from pipeline.standing import Standing, standing
from pipeline.store import Entry, disk_problems_named
from pipeline.tuning.budget import Budget
from pipeline.tuning.layers import layers_with_weights
from pipeline.tuning.picture import svg
from pipeline.tuning.trial import Trial, frontier, smallest, trial_of
from pipeline.tuning.tuned import Tuned, as_json, kilobytes
from pipeline.workflow import Job, Ran, alone_with, run_steps
from web_demo.runtime import Browser

STAGE = "tune"
TARGETS = {Format.TFLITE: "edge/litert", Format.TFJS: "browser/wasm"}
PRECISIONS = {
    Format.TFLITE: (Precision.FLOAT32, Precision.FLOAT16, Precision.DYNAMIC, Precision.INT16X8, Precision.INT8),
    Format.TFJS: (Precision.FLOAT32, Precision.FLOAT16, Precision.UINT16, Precision.UINT8),
}
SELECTIVE = {Format.TFLITE: Precision.INT8, Format.TFJS: Precision.UINT8}
PICTURE = "frontier.svg"
# Variants differ in their settings only, so the store would otherwise forget the first ones before the last.
_ENTRIES_KEPT = 200


def tune(asked: Job, budgets: Sequence[Budget], *, formats: Sequence[Format], layers: int, observer: Observer) -> Tuned:
    """Try variants of the formats; at most `layers` layers are looked at one by one, those with most weights.

    Raises UsageError for a budget that the model has nothing for, and what `run_steps` raises.
    """
    trials: list[Trial] = []
    ran: dict[Trial, Ran] = {}
    with (
        alone_with(asked, observer=observer),
        tempfile.TemporaryDirectory(prefix="tripoint-tune-") as scratch,
        standing(
            logs=asked.config.store_path / asked.file.name / "logs",
            scratch=Path(scratch),
            observer=observer,
            kept=(EdgeProcess, Browser),
        ) as shared,
    ):
        for kind in formats:
            for one, its_run in _tried(asked, kind, budgets, layers=layers, observer=observer, shared=shared):
                trials.append(one)
                ran[one] = its_run
    found = {kind: smallest([trial for trial in trials if trial.format is kind], budgets) for kind in formats}
    chosen = tuple(trial for trial in found.values() if trial is not None)
    tuned = Tuned(
        model=asked.file.name,
        budgets=tuple(budgets),
        trials=tuple(trials),
        chosen=chosen,
        without=tuple(kind for kind, trial in found.items() if trial is None),
        folder=asked.config.build_path / f"{asked.file.name}-tuned",
    )
    _keep(tuned, {trial: ran[trial] for trial in chosen})
    return tuned


def _tried(
    asked: Job, kind: Format, budgets: Sequence[Budget], *, layers: int, observer: Observer, shared: Standing
) -> Iterator[tuple[Trial, Ran]]:
    def run(kept: tuple[str, ...], precisions: tuple[Precision, ...]) -> tuple[list[Trial], Ran]:
        job = _job(asked, kind, kept, precisions)
        done = run_steps(job, observer=observer, shared=shared)
        made = [trial_of(row, kept) for row in rows_of(done, job.config, asked.file.name)]
        for trial in made:
            observer(Progress(stage=STAGE, message=_said(trial), finished=True))
        return made, done

    plain, first = run((), PRECISIONS[kind])
    yield from ((trial, first) for trial in plain)
    quantized = next(trial for trial in plain if trial.precision is SELECTIVE[kind])
    if quantized.quality is None or quantized.meets(budgets):
        return
    alone: list[Trial] = []
    names = _layers(asked, first, observer=observer, shared=shared)[:layers]
    for name in names:
        (trial,), done = run((name,), (SELECTIVE[kind],))
        alone.append(trial)
        yield trial, done
    order = sorted((trial for trial in alone if trial.quality is not None), key=lambda t: _gain(t, quantized))
    kept: tuple[str, ...] = ()
    for trial in reversed(order):
        kept = (*kept, *trial.kept)
        if len(kept) > 1:
            (together,), done = run(kept, (SELECTIVE[kind],))
            yield together, done
            trial = together  # noqa: PLW2901  # the first layer alone was tried above
        if trial.meets(budgets):
            return


def _gain(trial: Trial, without: Trial) -> float:
    """Decibels for each further byte."""
    gained = _decibels(trial) - _decibels(without)
    return gained / max(1, (trial.size_bytes or 0) - (without.size_bytes or 0))


def _decibels(trial: Trial) -> float:
    return (trial.quality.sqnr_db if trial.quality else None) or 0.0


def _layers(asked: Job, done: Ran, *, observer: Observer, shared: Standing) -> list[str]:
    """The layers with weights, most first; none when the model came without the names of its layers."""
    from export.layer_of_node import layer_names_of_keras

    keras_file = done.trained.path / KERAS_FILE
    if not keras_file.is_file():
        return []
    graph = done.artifacts.get(convert_step(Format.TFJS, Precision.FLOAT32))
    if graph is None:
        job = _job(asked, Format.TFJS, (), (Precision.FLOAT32,))
        graph = run_steps(job, observer=observer, shared=shared).artifacts[convert_step(Format.TFJS, Precision.FLOAT32)]
    if not isinstance(graph, Entry):
        return []
    return list(layers_with_weights(graph.path, layer_names_of_keras(keras_file)))


def _job(asked: Job, kind: Format, kept: tuple[str, ...], precisions: tuple[Precision, ...]) -> Job:
    config = asked.config
    own = config.models.get(asked.file.name, ModelConfig())
    return replace(
        asked,
        only=(TARGETS[kind],),
        config=msgspec.structs.replace(
            config,
            store=msgspec.structs.replace(config.store, keep=max(config.store.keep, _ENTRIES_KEPT)),
            models={**config.models, asked.file.name: msgspec.structs.replace(own, keep_float=kept)},
            convert=msgspec.structs.replace(
                config.convert,
                tflite=precisions if kind is Format.TFLITE else (),
                tfjs=precisions if kind is Format.TFJS else (),
            ),
            edge=msgspec.structs.replace(config.edge, libraries=("litert",)),
            browser=msgspec.structs.replace(config.browser, backends=("wasm",)),
        ),
    )


def _keep(tuned: Tuned, chosen: dict[Trial, Ran]) -> None:
    """The picture, the figures and the chosen artifacts, written aside and moved into place."""
    place = tuned.folder
    with disk_problems_named(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix="aside-", dir=place.parent))
        try:
            if frontier(tuned.trials):
                title = f"{tuned.model}: size and quality"
                (aside / PICTURE).write_text(svg(tuned.trials, tuned.chosen, title=title), encoding="utf-8")
            (aside / "tuned.json").write_text(as_json(tuned) + "\n")
            for trial, ran in chosen.items():
                made = ran.artifacts[convert_step(trial.format, trial.precision)]
                if isinstance(made, Entry):
                    shutil.copytree(made.path, aside / trial.format, ignore=shutil.ignore_patterns("made.json"))
            aside.chmod(0o755)
            if place.exists():
                shutil.rmtree(place)
            aside.replace(place)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _said(trial: Trial) -> str:
    if trial.quality is None:
        return f"{trial.label}: {(trial.problem or '').splitlines()[0]}"
    return f"{trial.label}: {kilobytes(trial.size_bytes)}, {_decibels(trial):.1f} dB"


def parsed_formats(names: Sequence[str]) -> list[Format]:
    """The formats of these names, both without one."""
    return [Format(name) for name in names] or list(TARGETS)


def parsed_budgets(texts: Sequence[str]) -> list[Budget]:
    """The budgets of these texts. Raises UsageError for one that cannot be read, and when there is none."""
    from pipeline.tuning.budget import parsed

    if not texts:
        raise UsageError("no budget was given", hint='for example --budget "top1>=0.99*ref"')
    return [parsed(text) for text in texts]
