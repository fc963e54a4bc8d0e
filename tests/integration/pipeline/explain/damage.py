"""Faults put into real artifacts: a copy with one thing changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.artifact import Artifact

Operators = Mapping[str, Any]


def damaged_tflite(artifact: Artifact, folder: Path, change: Callable[[Any, Any, Operators], None]) -> Artifact:
    """`change` gets the model, its graph, and the operators by the first name of what they make."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(artifact.path.read_bytes()))
    graph = model.subgraphs[0]
    made = {graph.tensors[each.outputs[0]].name.decode().split(";")[0]: each for each in graph.operators}
    change(model, graph, {name.split("/")[-2] if "/" in name else name: each for name, each in made.items()})
    path = folder / "damaged.tflite"
    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    return replace(artifact, path=path)


def weights_of(model: Any, graph: Any, operator: Any) -> NDArray[np.float32]:
    """The float32 kernel of the operator, to be changed in place."""
    buffer = model.buffers[graph.tensors[operator.inputs[1]].buffer]
    buffer.data = np.frombuffer(bytes(buffer.data), np.uint8).copy()
    return np.asarray(buffer.data.view(np.float32))


def damaged_tfjs(artifact: Artifact, folder: Path, change: Callable[[dict[str, Any]], None]) -> Artifact:
    """`change` gets the nodes by name, without what stands before the model's scope."""
    path = folder / "damaged"
    shutil.copytree(artifact.path, path)
    model = json.loads((path / "model.json").read_text())
    change({node["name"].removeprefix("StatefulPartitionedCall/"): node for node in model["modelTopology"]["node"]})
    (path / "model.json").write_text(json.dumps(model))
    return replace(artifact, path=path)
