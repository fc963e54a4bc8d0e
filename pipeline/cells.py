"""The lines of the report as they are planned, and the artifact of each in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from pipeline.adoption import Beside
from pipeline.config import Config
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.signature import Signature
from pipeline.core.target import Target
from pipeline.store import Entry

EXPORT = "export"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One line of the report: one artifact on one target, and the steps that make both."""

    target: Target
    precision: Precision
    artifact_step: str

    @property
    def name(self) -> str:
        return f"{self.target.name} {self.precision}"

    @property
    def step(self) -> str:
        return f"record {self.name}"


def beside_step(beside: Beside) -> str:
    return f"beside {beside.name}"


def cells_beside(targets: Sequence[Target], every: Sequence[Beside]) -> list[Cell]:
    """Each published .tflite file on each target that runs such files, as lines of their own."""
    return [
        Cell(
            target=replace(target, name=f"{target.name} {beside.name}"),
            precision=beside.precision,
            artifact_step=beside_step(beside),
        )
        for target in targets
        if target.consumes is Format.TFLITE
        for beside in every
    ]


def convert_step(kind: Format, precision: Precision) -> str:
    return f"convert {kind} {precision}"


def cells(targets: Sequence[Target], config: Config) -> list[Cell]:
    """Every artifact on every target that consumes its format, in the order of the report."""
    precisions: Mapping[Format, Sequence[Precision]] = {
        Format.SAVED_MODEL: (Precision.FLOAT32,),
        Format.TFLITE: config.convert.tflite,
        Format.TFJS: config.convert.tfjs,
    }
    return [
        Cell(
            target=target,
            precision=precision,
            artifact_step=EXPORT if target.consumes is Format.SAVED_MODEL else convert_step(target.consumes, precision),
        )
        for target in targets
        for precision in precisions[target.consumes]
    ]


def saved_model_folder(exported: Entry) -> Path:
    """The version folder inside an export."""
    return exported.path / str(exported.facts["version"])


def artifact_of(kind: Format, precision: Precision, model: str, *, exported: Entry, made: Entry) -> Artifact:
    """The artifact in a finished entry; `made` is its own, which for a SavedModel is the export itself."""
    match kind:
        case Format.SAVED_MODEL:
            path = saved_model_folder(exported)
        case Format.TFLITE:
            path = made.path / str(made.facts["file"])
        case Format.TFJS:
            path = made.path
        case Format.KERAS:
            raise ValueError(f"{model}: the trained model is the reference, not a target")
        case _:
            assert_never(kind)
    return Artifact(
        model=model,
        format=kind,
        precision=precision,
        path=path,
        signature=Signature.from_json(exported.facts["signature"]),
        digest=made.digest,
        made_from=None if made is exported else exported.digest,
        size_bytes=made.size_bytes,
    )
