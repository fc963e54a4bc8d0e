"""A TF.js graph model as a graph, and cut: the same operations and weights with other inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.artifact_graph import ArtifactGraph, Node, Wire, needed
from export.graph_readings import first_output, maker, sorted_by_reading
from export.tfjs_cut_weights import kept_weights
from export.tfjs_from_saved_model import MODEL_FILE
from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Signature, TensorSpec

_TYPES = {"float32": "DT_FLOAT", "int32": "DT_INT32", "bool": "DT_BOOL", "string": "DT_STRING"}


def graph_of_tfjs(folder: Path) -> ArtifactGraph:
    """The operations of `<folder>/model.json`. Raises ConversionFailed for a file that is none."""
    model = _read(folder)
    nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
    reads = _reads(nodes)
    return ArtifactGraph(
        nodes=tuple(
            Node(handle=name, names=(name,), op=nodes[name]["op"], inputs=tuple(reads[name]))
            for name in sorted_by_reading(nodes, reads)
            if nodes[name]["op"] != "Placeholder"
        ),
        inputs={name: _input(maker(tensor["name"])) for name, tensor in model["signature"]["inputs"].items()},
        outputs={name: maker(tensor["name"]) for name, tensor in model["signature"]["outputs"].items()},
    )


def cut_tfjs(folder: Path, *, into: Path, signature: str, feeds: Sequence[Wire], fetches: Sequence[Wire]) -> Signature:
    """Write the folder `into`, which makes the fetched tensors of the fed ones; its signature.

    A tensor that is both fed and fetched is made as before, while all that read it get what is fed. What nothing
    fetched depends on is left out, weights too.
    """
    model = _read(folder)
    nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
    given = {feed.handle: f"fed/{position}" for position, feed in enumerate(feeds)}
    for node in nodes.values():
        node["input"] = [given.get(first_output(reading) or "", reading) for reading in node.get("input", ())]
    for feed in feeds:
        nodes[given[feed.handle]] = {
            "name": given[feed.handle],
            "op": "Placeholder",
            "attr": {"dtype": {"type": _type(feed.spec)}, "shape": {"shape": _shape(feed.spec)}},
        }
    wanted = needed(_reads(nodes), [wire.handle for wire in fetches])
    model["modelTopology"]["node"] = [node for name, node in nodes.items() if name in wanted]
    fed = [feed for feed in feeds if given[feed.handle] in wanted]
    model["signature"] = {
        "inputs": {feed.spec.name: _tensor(given[feed.handle], feed.spec) for feed in fed},
        "outputs": {wire.spec.name: _tensor(wire.handle, wire.spec) for wire in fetches},
    }
    # They speak of the graph as it was.
    for about_the_whole in ("userDefinedMetadata", "modelInitializer", "initializerSignature"):
        model.pop(about_the_whole, None)
    model["weightsManifest"] = kept_weights(folder, model["weightsManifest"], wanted=wanted, into=into)
    (into / MODEL_FILE).write_text(json.dumps(model))
    return Signature(
        name=signature, inputs=tuple(feed.spec for feed in fed), outputs=tuple(wire.spec for wire in fetches)
    )


def _read(folder: Path) -> dict[str, Any]:
    try:
        model: dict[str, Any] = json.loads((folder / MODEL_FILE).read_text())
        list(model["modelTopology"]["node"])
        dict(model["signature"]["inputs"]), dict(model["signature"]["outputs"])
        list(model["weightsManifest"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConversionFailed(
            f"{folder} holds no TF.js graph model that can be read: {type(error).__name__}: {error}",
            hint="convert the model again",
        ) from error
    return model


def _input(name: str) -> Node:
    return Node(handle=name, names=(name,), op="Placeholder", inputs=())


def _reads(nodes: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    return {name: [maker(reading) for reading in node.get("input", ())] for name, node in nodes.items()}


def _tensor(node: str, spec: TensorSpec) -> dict[str, Any]:
    return {"name": f"{node}:0", "dtype": _type(spec), "tensorShape": _shape(spec)}


def _type(spec: TensorSpec) -> str:
    if spec.dtype not in _TYPES:
        raise ConversionFailed(f"{spec.name}: TF.js has no {spec.dtype}", hint="its types are float32, int32 and bool")
    return _TYPES[spec.dtype]


def _shape(spec: TensorSpec) -> dict[str, Any]:
    return {"dim": [{"size": str(-1 if size is None else size)} for size in spec.shape]}
