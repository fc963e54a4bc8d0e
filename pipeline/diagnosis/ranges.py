"""Quantized ranges that are too small: read from a TFLite file, and put into the trained model as limits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.artifact import Artifact, Format
from pipeline.core.signature import Tensors
from pipeline.diagnosis.graph import Graph

_CUT_AT_LEAST = 0.01
_LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}


@dataclass(frozen=True, kw_only=True)
class Range:
    """The values that a quantized tensor can hold; `name` is an input's or a layer's."""

    name: str
    low: float
    high: float
    share_cut: float = 0.0


def of_artifact(artifact: Artifact) -> list[tuple[str, float, float]]:
    """Of every quantized value that is computed: the tensor's name, lowest and highest; inputs by `input:NAME`."""
    if artifact.format is not Format.TFLITE:
        return []
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(artifact.path.read_bytes(), 0)
    graph = model.subgraphs[0]
    given = {
        tensor.tensorIndex: tensor.name.decode() for signature in model.signatureDefs for tensor in signature.inputs
    }
    found = []
    for operator in graph.operators:
        for index in operator.outputs:
            tensor = graph.tensors[index]
            ends = ends_of(tensor)
            if ends is None:
                continue
            source = int(operator.inputs[0])
            found.append((f"input:{given[source]}" if source in given else tensor.name.decode(), *ends))
    return found


def ends_of(tensor: Any) -> tuple[float, float] | None:
    """The lowest and highest value that a tensor of a TFLite file can hold; None for one of floats."""
    from tensorflow.lite.python import schema_py_generated as schema

    limits = {getattr(schema.TensorType, name): ends for name, ends in _LIMITS.items()}
    quantization = tensor.quantization
    if tensor.type not in limits or quantization is None or quantization.scale is None:
        return None
    scale, zero = float(quantization.scale[0]), int(quantization.zeroPoint[0])
    low, high = limits[tensor.type]
    return (low - zero) * scale, (high - zero) * scale


def of_layers(names: Sequence[str], found: Sequence[tuple[str, float, float]]) -> dict[str, tuple[float, float]]:
    """The range of each layer that has one; `names` are in the order of computing."""
    limits: dict[str, tuple[float, float]] = {}
    for tensor, low, high in found:
        # A fused operation carries the names of all its layers; it answers what the last of them does.
        mentioned = [name for name in names if re.search(rf"(^|[/;]){re.escape(name)}(_\d+)?/", tensor)]
        if mentioned:
            limits[mentioned[-1]] = (low, high)
    return limits


def too_small(graph: Graph, found: Sequence[tuple[str, float, float]], inputs: Tensors) -> list[Range]:
    """The ranges that cut off a noticeable share of what the trained model itself has there."""
    numbers = {place.name: place.number for place in graph.places}
    prefix = "input:"
    given = {name.removeprefix(prefix): (low, high) for name, low, high in found if name.startswith(prefix)}
    values = {name: inputs[name] for name in given if name in inputs}
    limits = of_layers(list(numbers), found)
    values |= {name: graph.value_at(numbers[name]) for name in limits}
    cut = []
    for name, array in values.items():
        low, high = given.get(name) or limits[name]
        slack = (high - low) * 0.02
        share = float(np.mean((array < low - slack) | (array > high + slack)))
        if array.dtype.kind == "f" and share >= _CUT_AT_LEAST:
            cut.append(Range(name=name, low=low, high=high, share_cut=share))
    return cut


def clipped_inputs(inputs: Tensors, found: Sequence[Range]) -> Tensors:
    by_name = {one.name: one for one in found}
    return {
        name: np.clip(array, by_name[name].low, by_name[name].high).astype(array.dtype) if name in by_name else array
        for name, array in inputs.items()
    }
