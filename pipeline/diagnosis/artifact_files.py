"""Causes in the files of an artifact: incomplete, cut short, unreadable, or with another signature."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from export.signature_of_saved_model import definitions_in, signature_from
from export.tfjs_signature import signature_of_tfjs
from export.tflite_signature import signature_of_tflite
from pipeline.core.artifact import Artifact, Format
from pipeline.core.errors import TripointError
from pipeline.core.signature import Signature
from pipeline.parity.diagnosis import Diagnosis


def fact(artifact: Artifact) -> Diagnosis | None:
    """What is wrong with the files, read without any runtime; None when they are whole and say what they should."""
    try:
        match artifact.format:
            case Format.TFJS:
                return _of_tfjs(artifact.path) or _signature(artifact, _tfjs_signature(artifact))
            case Format.TFLITE:
                return _of_tflite(artifact.path) or _signature(artifact, _tflite_signature(artifact))
            case Format.SAVED_MODEL:
                return _of_saved_model(artifact.path) or _signature(artifact, _saved_model_signature(artifact))
            case Format.KERAS:
                return None
    except (OSError, ValueError, KeyError, TripointError) as error:
        return Diagnosis(cause="artifact_unreadable", sentence=f"{artifact.path.name} cannot be read: {error}", tried=1)


def _of_tfjs(folder: Path) -> Diagnosis | None:
    for group in json.loads((folder / "model.json").read_text())["weightsManifest"]:
        absent = [path for path in group["paths"] if not (folder / path).is_file()]
        if absent:
            return _incomplete(folder, absent)
        if any(weight["dtype"] == "string" for weight in group["weights"]):
            # Text, such as a vocabulary, is stored at whatever length it has.
            continue
        due = sum(_bytes_of(weight) for weight in group["weights"])
        there = sum((folder / path).stat().st_size for path in group["paths"])
        if there != due:
            return _cut(f"{', '.join(group['paths'])}: {there} bytes, while model.json lists {due}")
    return None


def _bytes_of(weight: dict[str, Any]) -> int:
    stored = weight.get("quantization", {}).get("dtype", weight["dtype"])
    return int(math.prod(weight["shape"])) * (1 if stored == "bool" else np.dtype(stored).itemsize)


def _of_tflite(file: Path) -> Diagnosis | None:
    content = file.read_bytes()
    if content[4:8] != b"TFL3":
        return Diagnosis(cause="artifact_unreadable", sentence=f"{file.name} is no TFLite file", tried=1)
    from tensorflow.lite.python import schema_py_generated as schema

    try:
        # Every vector is followed to its end, so what is cut off anywhere shows.
        schema.ModelT.InitFromPackedBuf(content, 0)
    except (struct.error, ValueError, IndexError, TypeError) as error:
        return _cut(f"{file.name} ({len(content)} bytes) points beyond its end: {error}")
    return None


def _of_saved_model(folder: Path) -> Diagnosis | None:
    import tensorflow as tf

    variables = folder / "variables"
    absent = [
        name
        for name in ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001")
        if not (folder / name).is_file()
    ]
    if absent:
        return _incomplete(folder, absent)
    try:
        reader = tf.train.load_checkpoint(str(variables / "variables"))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, RuntimeError, IndexError) as error:
        return _cut(f"the variables of {folder.name} cannot be read: {str(error).splitlines()[0]}")
    return None


def _tfjs_signature(artifact: Artifact) -> Signature:
    block = json.loads((artifact.path / "model.json").read_text())["signature"]
    return signature_of_tfjs(block, artifact.signature.name)


def _tflite_signature(artifact: Artifact) -> Signature:
    return signature_of_tflite(artifact.path.read_bytes(), artifact.signature.name, label=artifact.label)


def _saved_model_signature(artifact: Artifact) -> Signature:
    found, name = definitions_in(artifact.path), artifact.signature.name
    if name not in found:
        raise ValueError(f"it has the signatures {sorted(found)}, not `{name}`")
    return signature_from(found[name], artifact.path, name)


def _signature(artifact: Artifact, found: Signature) -> Diagnosis | None:
    """How the file's own signature differs from the one that the artifact should carry."""
    for kind, want, got in (
        ("input", artifact.signature.inputs, found.inputs),
        ("output", artifact.signature.outputs, found.outputs),
    ):
        wanted, gotten = {spec.name: spec for spec in want}, {spec.name: spec for spec in got}
        missing, extra = sorted(wanted.keys() - gotten.keys()), sorted(gotten.keys() - wanted.keys())
        if missing or extra:
            renamed = len(missing) == len(extra)
            return Diagnosis(
                cause=f"{kind}s_renamed" if renamed else f"{kind}_missing" if missing else f"{kind}_extra",
                sentence=f"the file's {kind}s are {', '.join(gotten)}; due are {', '.join(wanted)}",
                tried=2,
            )
        for name, spec in wanted.items():
            if gotten[name].dtype != spec.dtype:
                return Diagnosis(
                    cause="dtype_changed",
                    sentence=f"the file's {kind} `{name}` is {gotten[name].dtype}, due is {spec.dtype}",
                    tried=3,
                )
    return None


def _incomplete(folder: Path, absent: list[str]) -> Diagnosis:
    return Diagnosis(
        cause="artifact_incomplete",
        sentence=f"{folder.name} lacks {', '.join(absent)}: it was copied by halves",
        tried=1,
    )


def _cut(what: str) -> Diagnosis:
    return Diagnosis(cause="artifact_truncated", sentence=f"{what}: the file is cut short", tried=2)
