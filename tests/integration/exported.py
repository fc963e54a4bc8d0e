"""A model and all that is made of it, as the tests of converters and runtimes want it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.saved_model_from_keras import saved_model_from_keras
from export.tflite_from_saved_model import tflite_from_saved_model
from pipeline.core.artifact import TFLITE_PRECISIONS, Artifact, Format, Precision
from pipeline.core.signature import Signature, Tensors
from pipeline.store import digest_of_tree


@dataclass(frozen=True, kw_only=True, eq=False)
class Exported:
    """A model with its SavedModel, samples for its inputs, and its own answers to them."""

    model: Any
    saved_model: Artifact
    samples: Tensors
    answers: Tensors


def export(model: Any, folder: Path, *, samples: Tensors, answers: Tensors) -> Exported:
    """Export into `folder`, whose name becomes the model's; the outputs are named after the answers, in their order."""
    signature = saved_model_from_keras(
        model,
        into=folder,
        version=1,
        output_names=tuple(answers),
        model_name=folder.name,
        warmup_samples={name: array[:2] for name, array in samples.items()},
    )
    saved_model = artifact(folder.name, Format.SAVED_MODEL, Precision.FLOAT32, folder / "1", signature)
    return Exported(model=model, saved_model=saved_model, samples=samples, answers=answers)


def as_tflite(exported: Exported, folder: Path, *, without: Precision | None = None) -> Mapping[Precision, Artifact]:
    """Every TFLite precision of the model, each in a folder of its own."""
    return {precision: tflite(exported, folder, precision) for precision in TFLITE_PRECISIONS if precision != without}


def tflite(exported: Exported, folder: Path, precision: Precision, *, keep_float: tuple[str, ...] = ()) -> Artifact:
    source = exported.saved_model
    file = folder / precision / f"{source.model}.tflite"
    file.parent.mkdir(parents=True)
    tflite_from_saved_model(
        source.path,
        into=file,
        signature=source.signature,
        precision=precision,
        representative=exported.samples,
        keep_float=keep_float,
    )
    return artifact(source.model, Format.TFLITE, precision, file, source.signature)


def artifact(model: str, kind: Format, precision: Precision, path: Path, signature: Signature) -> Artifact:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return Artifact(
        model=model,
        format=kind,
        precision=precision,
        path=path,
        signature=signature,
        digest=digest_of_tree(path if path.is_dir() else path.parent),
        made_from=None,
        size_bytes=sum(file.stat().st_size for file in files),
    )
