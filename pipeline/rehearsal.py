"""While a model trains, its untrained twin runs in the browsers, so that shaders and pages are warm for the real one.

WebGL compiles a shader at the first use of each operation. It depends on shapes, not on weights, and takes seconds
where graphics are drawn in software. Nothing of a rehearsal is kept or compared.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pipeline import stages
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.errors import TripointError
from pipeline.core.signature import Signature, Tensors
from pipeline.core.target import Session
from pipeline.lanes import RuntimeLane
from pipeline.model_files import ModelFile
from pipeline.workers import Workers

# Of a larger model every browser would hold the weights twice, and its shaders are the smaller part of its time.
_LARGEST_BYTES = 50_000_000


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What is rehearsed where: each lane with the variants (backends) that it will be asked for, the slowest first."""

    file: ModelFile
    workers: Workers
    tfjs_worker: str
    lowering: bool
    batch_sizes: Sequence[int]
    variants: Sequence[tuple[RuntimeLane, Sequence[str]]]


@contextmanager
def rehearsing(rehearsal: Rehearsal, folder: Path) -> Iterator[None]:
    """Rehearse in the background, in a `folder` that is made. A block that fails has to stop the workers first."""
    thread = threading.Thread(target=_rehearse, args=(rehearsal, folder), name="rehearsal")
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _rehearse(rehearsal: Rehearsal, folder: Path) -> None:
    try:
        artifact = _twin(rehearsal, folder)
        if artifact is None:
            return
        samples = _zeros(artifact.signature, max(rehearsal.batch_sizes))
        if samples is None:
            return
        # One after the other: the training needs a core.
        for lane, variants in rehearsal.variants:
            performing = lane.before_steps(partial(_perform, variants, artifact, samples, rehearsal.batch_sizes))
            if performing is not None:
                performing.result()
    except (TripointError, BrokenProcessPool, CancelledError, KeyboardInterrupt):
        # What is wrong with the model, a converter or a browser shows again, with its message, in the step itself; or
        # the run ends, and workers and lanes with it.
        return


def _twin(rehearsal: Rehearsal, folder: Path) -> Artifact | None:
    """The untrained model as a TF.js graph model, or None for a large one."""
    exported, converted = folder / "saved_model", folder / "tfjs"
    exported.mkdir(parents=True)
    converted.mkdir()
    # In a process of its own: Keras counts the layers that it makes, and names of the real export would come to depend
    # on whether there was a rehearsal.
    signature = rehearsal.workers.call_alone("rehearsal", stages.export_untrained_into, exported, rehearsal.file)
    if sum(file.stat().st_size for file in exported.rglob("*") if file.is_file()) > _LARGEST_BYTES:
        return None
    rehearsal.workers.call(
        rehearsal.tfjs_worker,
        1,
        stages.tfjs_into,
        converted,
        exported / "1",
        name=rehearsal.file.name,
        signature=signature,
        lowering=rehearsal.lowering,
    )
    return Artifact(
        model=rehearsal.file.name,
        format=Format.TFJS,
        precision=Precision.FLOAT32,
        path=converted,
        signature=Signature.from_json(signature),
        digest="",
        made_from=None,
        size_bytes=0,
    )


def _zeros(signature: Signature, count: int) -> Tensors | None:
    """As many samples, or None for a model whose shapes vary in more than the batch, or whose input is text."""
    samples = {}
    for spec in signature.inputs:
        first, *others = spec.shape or (0,)
        if first is not None or None in others or spec.dtype == "string":
            return None
        samples[spec.name] = np.zeros((count, *(size or 0 for size in others)), dtype=spec.dtype)
    return samples


def _perform(
    variants: Sequence[str], artifact: Artifact, samples: Tensors, batch_sizes: Sequence[int], session: Session
) -> None:
    for variant in variants:
        with session.load(artifact, variant) as runner:
            for size in batch_sizes:
                runner.run({name: array[:size] for name, array in samples.items()}, batch_size=size)
