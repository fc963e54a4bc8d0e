"""The library behind `tripoint demo`: the converted model on a web page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline import golden, main_job
from pipeline.cells import artifact_of, convert_step
from pipeline.config import Config
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.errors import UsageError
from pipeline.core.progress import Observer
from pipeline.model_files import Known
from pipeline.store import Entry
from pipeline.workflow import Ran, run_alone
from web_demo.demo import DemoModel, serve_demo, write_static_site


def prepared(file: Known, config: Config, *, observer: Observer) -> DemoModel:
    """Bring the TF.js artifacts up to date. Raises UsageError for a model whose file does not describe a demo."""
    ran = run_alone(main_job.job(file, config, until="tfjs"), observer=observer)
    return demo_model(ran, file.name, config)


def show(shown: DemoModel, *, port: int, out: Path | None) -> Iterator[str]:
    """Write the site to `out`, or serve it until interrupted. Yields lines to print."""
    if out is not None:
        write_static_site([shown], out)
        yield f"{out}: a folder that any web server can serve"
        return
    with serve_demo([shown], port=port) as address:
        yield f"{shown.title}: {address} (Ctrl-C ends it)"
        threading.Event().wait()


def demo_model(ran: Ran, name: str, config: Config) -> DemoModel:
    """The model as the page shows it, with the first test sample of each class as an example."""
    facts, scores = ran.trained.facts["demo"], ran.trained.facts["scores"]
    answers = golden.load(ran.trained.path / golden.GOLDEN_FILE)
    if facts is None or scores is None or answers.labels is None:
        raise UsageError(
            f"the model {name} does not say how the demo should show it",
            hint="give the ModelSpec in its file a `demo` and `scores`",
        )
    labels = answers.labels
    examples = [int(np.flatnonzero(labels == position)[0]) for position in sorted(set(labels.tolist()))]
    return DemoModel(
        name=name,
        title=facts["title"],
        kind=facts["kind"],
        input=facts["input"],
        output=scores["output"],
        classes=tuple(scores["classes"]),
        samples=answers.inputs[facts["input"]][examples],
        sample_labels=tuple(scores["classes"][int(labels[example])] for example in examples),
        artifacts=tuple(_artifact(ran, name, precision) for precision in config.convert.tfjs),
    )


def _artifact(ran: Ran, model: str, precision: Precision) -> Artifact:
    made = ran.artifacts[convert_step(Format.TFJS, precision)]
    if not isinstance(made, Entry):
        raise UsageError(f"the demo needs the {precision} TF.js artifact: {made.problem}", hint=made.hint)
    return artifact_of(Format.TFJS, precision, model, exported=ran.exported, made=made)
