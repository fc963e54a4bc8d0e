"""Taking any artifact apart: its graph, and pieces of it as artifacts that its own runtime runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from export.artifact_graph import ArtifactGraph, Wire
from export.saved_model_cut import cut_saved_model, graph_of_saved_model
from export.tfjs_cut import cut_tfjs, graph_of_tfjs
from export.tflite_cut import cut_tflite, graph_of_tflite
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.errors import UsageError


def graph_of(artifact: Artifact) -> ArtifactGraph:
    """The artifact's operations. Raises ConversionFailed or ModelFailed for what cannot be read."""
    match artifact.format:
        case Format.TFLITE:
            return graph_of_tflite(artifact.path, artifact.signature.name)
        case Format.TFJS:
            return graph_of_tfjs(artifact.path)
        case Format.SAVED_MODEL:
            return graph_of_saved_model(artifact.path, artifact.signature.name)
        case Format.KERAS:
            raise UsageError("the trained model is what others are compared with", hint="name a target")
        case _:
            assert_never(artifact.format)


def cut(artifact: Artifact, *, into: Path, feeds: Sequence[Wire], fetches: Sequence[Wire]) -> Artifact:
    """The piece of the artifact that makes the fetched tensors of the fed ones, written below the folder `into`."""
    name = artifact.signature.name
    match artifact.format:
        case Format.TFLITE:
            path = into / f"{artifact.model}-piece.tflite"
            signature = cut_tflite(artifact.path, into=path, signature=name, feeds=feeds, fetches=fetches)
        case Format.TFJS:
            path = into
            signature = cut_tfjs(artifact.path, into=path, signature=name, feeds=feeds, fetches=fetches)
        case Format.SAVED_MODEL:
            path = into / "1"
            signature = cut_saved_model(artifact.path, into=path, signature=name, feeds=feeds, fetches=fetches)
        case Format.KERAS:
            raise UsageError("the trained model is what others are compared with", hint="name a target")
        case _:
            assert_never(artifact.format)
    # What a piece takes and gives is as it lies in the artifact: no runner is to convert it on the way.
    precision = Precision.INT8 if artifact.precision is Precision.INT8_IO else artifact.precision
    return replace(artifact, path=path, signature=signature, precision=precision)
