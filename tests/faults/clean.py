"""The reverse of the bench: sound artifacts of many seeds at many batch sizes, of which none may raise an alarm."""

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
from typing import Any

import numpy as np

from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.parity.report.wording import explained
from pipeline.parity.status import Word, word
from tests.faults.materials import Material, digits, pictures
from tests.faults.rig import Place, Rig, rig

RUNS = 200
_BATCH_SIZES = (1, 2, 3, 5, 8, 16, 31, 64, 100, 150)
_TFLITE = (Precision.FLOAT32, Precision.FLOAT16, Precision.DYNAMIC, Precision.INT8)
# By how much the weights of a seed differ from those trained, in shares of their own size.
_CHANGED_BY = 0.03


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
    parser.add_argument("--materials", type=Path, help="keep the trained models here")
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="clean-") as scratch:
        found = list(itertools.islice(runs(Path(scratch), arguments.materials), arguments.runs))
    text = rendered(found)
    arguments.into.mkdir(parents=True, exist_ok=True)
    (arguments.into / "clean.json").write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    (arguments.into / "clean.md").write_text(text + "\n")
    print(text)
    print(f"{time.perf_counter() - started:.0f} s")
    sys.exit(0 if len(found) >= arguments.runs and not alarms(found) else 1)


def runs(scratch: Path, materials: Path | None) -> Iterator[Clean]:
    """Seed after seed, without end: each seed's artifacts on their targets."""
    (scratch / "runtimes").mkdir()
    kept = materials or scratch / "materials"
    with rig(scratch / "runtimes") as booted:
        trained = (digits(kept / "digits"), pictures(kept / "scene"))
        for seed in itertools.count():
            sound = trained[seed % len(trained)]
            folder = scratch / f"seed-{seed}"
            folder.mkdir()
            yield from _of_seed(booted, _changed(sound, seed, folder), seed)
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
    lines += ["", f"{len(found)} clean runs over {seeds} seeds and {sizes} batch sizes: {len(false)} false alarms."]
    for one in false:
        lines.append(f"- {one.model}, seed {one.seed}, {one.target}, batch sizes {one.batch_sizes}: {one.status}")
        lines += [f"  {sentence}" for sentence in one.explained]
    return "\n".join(lines)


def _of_seed(booted: Rig, material: Material, seed: int) -> Iterator[Clean]:
    random = np.random.default_rng(seed)
    saved = material.artifact(Format.SAVED_MODEL)
    tflite = [_converted(material, saved, Format.TFLITE, precision) for precision in _TFLITE]
    tfjs = _converted(material, saved, Format.TFJS, Precision.FLOAT32)
    cells: list[tuple[Artifact, Place]] = [
        (saved, booted.in_process()),
        (saved, booted.server(("rest", "grpc")[seed // 2 % 2], material.name)),
        *((artifact, booted.edge("litert")) for artifact in tflite),
        *((artifact, booted.edge("tflite-runtime")) for artifact in tflite[:: 1 + seed % 2]),
        (tfjs, booted.browser(("wasm", "cpu")[seed // 2 % 2])),
    ]
    for artifact, place in [*cells, *cells]:
        sizes = tuple(sorted(int(size) for size in random.choice(_BATCH_SIZES, 2, replace=False)))
        run = booted.run(material, artifact, place, batch_sizes=sizes, diagnose=False)
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


def _converted(material: Material, saved: Artifact, kind: Format, precision: Precision) -> Artifact:
    into = Path(tempfile.mkdtemp(dir=material.folder))
    return material.converted(saved, kind, precision, into)


def _changed(material: Material, seed: int, folder: Path) -> Material:
    """The model with every weight a little different, in a way that is the seed's own."""
    import keras

    random = np.random.default_rng(seed)
    model: Any = keras.models.clone_model(material.model)
    model.set_weights(
        [
            (weight * (1 + _CHANGED_BY * random.standard_normal(weight.shape))).astype(weight.dtype)
            for weight in material.model.get_weights()
        ]
    )
    return replace(material, model=model, folder=folder, _made={})


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()
