"""What the app has to do in front of a part of a model: each layer's settings and vocabulary, as JSON, with examples.

docs/adopting.md describes the file; `web_demo/src/text-vectorization.ts` reads it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.layer_cut import LayerCut
from export.layer_graph import LayerGraph
from pipeline.core.signature import Tensors, TensorSpec

FRONT_FILE = "front.json"
_SCHEMA = "tripoint.front/1"
_EXAMPLES = 8
_LARGEST_EXAMPLE = 1024
# Said elsewhere, or of no use outside Keras.
_LEFT_OUT = {"name", "trainable", "dtype", "batch_shape", "batch_input_shape", "vocabulary", "layers", "build_config"}


def write_front(
    folder: Path,
    *,
    model: Any,
    graph: LayerGraph,
    cut: LayerCut,
    inputs: Sequence[TensorSpec],
    gives: Sequence[TensorSpec],
    samples: Tensors,
    answers: Tensors,
) -> None:
    """Write front.json: the layers in front of the cut, and a few samples with what these layers make of them.

    `inputs` are what the layers read, `gives` what they give to the part behind; `samples` and `answers` hold these,
    one row a sample.
    """
    layers = {layer.name: layer for layer in model.layers}
    content = {
        "schema": _SCHEMA,
        "after": list(cut.after),
        "inputs": [spec.to_json() for spec in inputs],
        "gives": [spec.to_json() for spec in gives],
        "layers": [
            described(name, graph.place(name).takes, layers.get(name)) for name in cut.front if name not in graph.inputs
        ],
        "examples": _examples(inputs, gives, samples, answers),
    }
    (folder / FRONT_FILE).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def described(name: str, takes: Sequence[str], layer: Any | None) -> dict[str, Any]:
    """What front.json says of a layer; an operation that is none (`layer` None) has a name only."""
    if layer is None:
        return {"name": name, "takes": list(takes), "kind": "operation"}
    config = {key: value for key, value in layer.get_config().items() if key not in _LEFT_OUT}
    said: dict[str, Any] = {
        "name": name,
        "takes": list(takes),
        "kind": type(layer).__name__,
        "settings": _plain(config),
    }
    if hasattr(layer, "get_vocabulary"):
        said["vocabulary"] = _plain(layer.get_vocabulary())
    return said


def _plain(value: Any) -> Any:
    """The value as JSON has it; what JSON has not, such as a function of the user's own, by its name under `code`."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case np.ndarray() | np.generic():
            return _plain(value.tolist())
        case bytes():
            return value.decode("utf-8", "replace")
        case _:
            return {"code": getattr(value, "__qualname__", type(value).__name__)}


def _examples(
    inputs: Sequence[TensorSpec], gives: Sequence[TensorSpec], samples: Tensors, answers: Tensors
) -> list[dict[str, Any]]:
    """A few different samples, evenly spread, and what the layers give for each; none of large ones."""
    rows = {**{spec.name: samples[spec.name] for spec in inputs}, **{spec.name: answers[spec.name] for spec in gives}}
    if any(math.prod(array.shape[1:]) > _LARGEST_EXAMPLE for array in rows.values()):
        return []
    count = len(next(iter(rows.values())))
    taken = np.unique(np.arange(min(_EXAMPLES, count)) * count // min(_EXAMPLES, count))
    return [
        {
            "takes": {spec.name: _row(samples[spec.name], at) for spec in inputs},
            "gives": {spec.name: _row(answers[spec.name], at) for spec in gives},
        }
        for at in taken
    ]


def _row(array: NDArray[Any], at: int) -> Any:
    # A row of text without dimensions is one element, not an array.
    return _plain(array[at])
