"""Edits of real artifact files: flatbuffers of TFLite, graphs and weight files of TF.js."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.artifact import Artifact
from tests.faults.materials import fresh_version, renewed

Change = Callable[[NDArray[Any]], NDArray[Any]]


def copied(artifact: Artifact, folder: Path) -> Artifact:
    """The artifact in a place of its own, to be damaged; a SavedModel gets a version number of its own."""
    name = str(fresh_version()) if artifact.path.name.isdecimal() else artifact.path.name
    place = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    if artifact.path.is_dir():
        shutil.copytree(artifact.path, place)
    else:
        shutil.copy(artifact.path, place)
    return replace(artifact, path=place)


@contextmanager
def tflite(artifact: Artifact) -> Iterator[Any]:
    """Yield the file as the schema's objects, and write it back."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(artifact.path.read_bytes()))
    yield model
    artifact.path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))


def damaged_tflite(artifact: Artifact, folder: Path, edit: Callable[[Any], None]) -> Artifact:
    """A copy with the edit done to its schema objects."""
    copy = copied(artifact, folder)
    with tflite(copy) as model:
        edit(model)
    return renewed(copy)


def operators(model: Any, kind: str) -> list[Any]:
    """The operators of a builtin kind, such as `CONV_2D`, in their order."""
    from tensorflow.lite.python import schema_py_generated as schema

    code = getattr(schema.BuiltinOperator, kind)
    return [
        operator
        for operator in model.subgraphs[0].operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode == code
    ]


def change_tflite_constant(model: Any, tensor: int, change: Change) -> None:
    """Change a constant's numbers in their stored type."""
    from tensorflow.lite.python import schema_py_generated as schema

    types = {
        schema.TensorType.FLOAT32: np.float32,
        schema.TensorType.INT8: np.int8,
        schema.TensorType.INT32: np.int32,
    }
    found = model.subgraphs[0].tensors[tensor]
    buffer = model.buffers[found.buffer]
    stored = types[found.type]
    values = np.frombuffer(bytes(buffer.data), stored).reshape(found.shape)
    changed = np.ascontiguousarray(change(values), stored)
    if changed.shape != values.shape:
        raise ValueError(f"the constant has shape {values.shape}, changed it would have {changed.shape}")
    buffer.data = np.frombuffer(changed.tobytes(), np.uint8)


def change_tfjs_weight(folder: Path, shape: tuple[int, ...], change: Change) -> None:
    """Change the one float32 weight of that shape."""
    changed = 0
    for group in json.loads((folder / "model.json").read_text())["weightsManifest"]:
        content = bytearray(b"".join((folder / path).read_bytes() for path in group["paths"]))
        at = 0
        for weight in group["weights"]:
            size = math.prod(weight["shape"]) * np.dtype(weight["dtype"]).itemsize
            if tuple(weight["shape"]) == shape:
                value = np.frombuffer(bytes(content[at : at + size]), weight["dtype"]).reshape(shape)
                content[at : at + size] = np.ascontiguousarray(change(value), weight["dtype"]).tobytes()
                changed += 1
            at += size
        (folder / group["paths"][0]).write_bytes(content)
    if changed != 1:
        raise ValueError(f"{changed} weights have shape {shape}")


@contextmanager
def tfjs_graph(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield model.json, and write it back."""
    file = folder / "model.json"
    content = json.loads(file.read_text())
    yield content
    file.write_text(json.dumps(content))


def flip_bit(values: NDArray[Any], index: tuple[int, ...], bit: int) -> NDArray[Any]:
    """The values with one bit of one of them flipped, as a bad disk or a bad copy does it."""
    changed = values.copy()
    word = changed.view({4: np.uint32, 1: np.uint8}[values.dtype.itemsize])
    word[index] ^= word.dtype.type(1 << bit)
    return changed
