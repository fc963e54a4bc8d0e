"""The reverse of the bench: sound artifacts of many trainings at many batch sizes; none may raise an alarm.

They are judged as in a run, by bounds that are derived for each training.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from models import digits, mlp, penguins
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.model import ModelSpec, labels_of
from pipeline.core.signature import Tensors
from pipeline.parity.profile import NoProfile
from pipeline.parity.report.wording import explained
from pipeline.parity.status import Word, word
from pipeline.profiling import profiled
from pipeline.training import train
from tests.faults.materials import Material
from tests.faults.rig import Place, Rig, rig

RUNS = 200
_BATCH_SIZES = (1, 2, 3, 5, 8, 16, 31, 64, 100, 150)
_TFLITE = (Precision.FLOAT32, Precision.FLOAT16, Precision.DYNAMIC, Precision.INT8)
# TFLite's converter has no Cast in 16x8 bits, which the integer inputs of penguins need.
_ALSO_INT16X8 = ("digits", "mlp")
_TFJS = (Precision.FLOAT32, Precision.FLOAT16, Precision.UINT16, Precision.UINT8)
# Short trainings of models of ours: a convolutional one, one of dense layers, one of several inputs and outputs.
_EPOCHS = {"digits": 4, "mlp": 10, "penguins": 30}


@dataclass(frozen=True, kw_only=True)
class Clean:
    """One sound artifact on one target, asked at some batch sizes."""

    model: str
    seed: int
    target: str
    batch_sizes: tuple[int, ...]
    status: Word
    explained: tuple[str, ...]


def main() -> None:
    """Exit with 0 only when every run passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--into", type=Path, default=Path("build/faults"))
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="clean-") as scratch:
        found = list(itertools.islice(runs(Path(scratch)), arguments.runs))
    text = rendered(found)
    arguments.into.mkdir(parents=True, exist_ok=True)
    (arguments.into / "clean.json").write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    (arguments.into / "clean.md").write_text(text + "\n")
    print(text)
    print(f"{time.perf_counter() - started:.0f} s")
    sys.exit(0 if len(found) >= arguments.runs and not alarms(found) else 1)


def runs(scratch: Path) -> Iterator[Clean]:
    """Seed after seed, without end: a training, its profile, and its artifacts on their targets."""
    (scratch / "runtimes").mkdir()
    specs = (digits.MODEL, mlp.MODEL, penguins.MODEL)
    with rig(scratch / "runtimes") as booted:
        for seed in itertools.count():
            folder = scratch / f"seed-{seed}"
            folder.mkdir()
            yield from _of_seed(booted, specs[seed % len(specs)], seed, folder)
            shutil.rmtree(folder)


def alarms(found: Sequence[Clean]) -> list[Clean]:
    return [one for one in found if one.status != "PASS"]


def rendered(found: Sequence[Clean]) -> str:
    """A line a target, then every alarm."""
    asked = Counter(one.target for one in found)
    passed = Counter(one.target for one in found if one.status == "PASS")
    lines = ["| target | runs | passed |", "|:--|--:|--:|"]
    lines += [f"| {target} | {count} | {passed[target]} |" for target, count in sorted(asked.items())]
    seeds = len({(one.model, one.seed) for one in found})
    sizes = len({size for one in found for size in one.batch_sizes})
    false = alarms(found)
    lines += ["", f"{len(found)} clean runs over {seeds} trainings and {sizes} batch sizes: {len(false)} false alarms."]
    for one in false:
        lines.append(f"- {one.model}, seed {one.seed}, {one.target}, batch sizes {one.batch_sizes}: {one.status}")
        lines += [f"  {sentence}" for sentence in one.explained]
    return "\n".join(lines)


def _of_seed(booted: Rig, spec: ModelSpec, seed: int, folder: Path) -> Iterator[Clean]:
    random = np.random.default_rng(seed)
    material, reference = _trained(spec, seed, folder)
    saved = material.artifact(Format.SAVED_MODEL)
    found = profiled(saved.path, saved.signature.name, material.inputs, reference)
    # As in a run: a model that holds tables is judged by the general tolerances.
    material = replace(material, profile=None if isinstance(found, NoProfile) else found)
    precisions = (*_TFLITE, Precision.INT16X8) if spec.name in _ALSO_INT16X8 else _TFLITE
    tflite = [_converted(material, saved, Format.TFLITE, precision) for precision in precisions]
    tfjs = [_converted(material, saved, Format.TFJS, precision) for precision in _TFJS]
    backends = ("wasm", "cpu") if seed % 2 else ("cpu", "wasm")
    cells: list[tuple[Artifact, Place]] = [
        (saved, booted.in_process()),
        (saved, booted.server("rest", material.name)),
        (saved, booted.server("grpc", material.name)),
        *((artifact, booted.edge("litert")) for artifact in tflite),
        *((artifact, booted.edge("tflite-runtime")) for artifact in tflite[seed % 2 :: 2]),
        *((artifact, booted.browser(backend)) for artifact, backend in zip(tfjs, backends * 2, strict=True)),
    ]
    for artifact, place in cells:
        sizes = tuple(sorted(int(size) for size in random.choice(_BATCH_SIZES, 2, replace=False)))
        run = booted.run(material, artifact, place, reference=reference, batch_sizes=sizes, diagnose=False)
        clean = Clean(
            model=material.name,
            seed=seed,
            target=run.row.label,
            batch_sizes=sizes,
            status=word(run.row.status),
            explained=tuple(explained(run.row.status)),
        )
        print(f"{clean.status:13}{clean.model} seed {seed} {clean.target} {sizes}", file=sys.stderr, flush=True)
        yield clean


def _trained(spec: ModelSpec, seed: int, folder: Path) -> tuple[Material, Tensors]:
    """The model as a run trains it, if not for as long, with its data, and what it answers to them."""
    trained = train(
        spec,
        epochs=_EPOCHS[spec.name],
        seed=seed,
        resume=False,
        checkpoints=folder / "checkpoints",
        tensorboard=None,
    )
    model = trained.model
    model.save(folder / "model.keras")
    known = trained.dataset.train
    rows = np.linspace(0, known.count - 1, min(200, known.count)).astype(np.int64)
    material = Material(
        name=spec.name,
        model=model,
        older=model,
        other=model,
        representative={name: array[rows] for name, array in known.inputs.items()},
        inputs=trained.dataset.test.inputs,
        output_names=spec.output_names,
        labels=labels_of(spec, trained.dataset.test),
        scores_output=None if spec.scores is None else spec.scores.output,
        classes=() if spec.scores is None else spec.scores.classes,
        folder=folder,
    )
    return material, trained.reference


def _converted(material: Material, saved: Artifact, kind: Format, precision: Precision) -> Artifact:
    into = Path(tempfile.mkdtemp(dir=material.folder))
    return material.converted(saved, kind, precision, into)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()
