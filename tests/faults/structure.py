"""Faults in how layers are put together: branches that get lost, layers in another order, one merge for another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pipeline.core.artifact import Format, Precision
from tests.faults import edits
from tests.faults.fault import Group, Workbench
from tests.faults.materials import Material, renewed
from tests.faults.rig import Place, Run

STRUCTURE = Group("graph")

Instead = Callable[..., Any]
"""Called with a layer, what it is called with, and a copy of any other layer by name."""


def rebuilt(model: Any, instead: Mapping[str, Instead]) -> Any:
    """The same layers and weights, those of these names called otherwise."""
    import keras

    copies: dict[str, Any] = {}

    def copy(name: str) -> Any:
        if name not in copies:
            own = model.get_layer(name)
            copies[name] = own.__class__.from_config(own.get_config())
        return copies[name]

    def clone(own: Any) -> Any:
        return copy(own.name)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        change = instead.get(layer.name)
        return layer(*args, **kwargs) if change is None else change(layer, args[0], copy)

    functional = getattr(model, "_functional", None) or model
    changed = keras.models.clone_model(functional, clone_function=clone, call_function=call)
    for name, layer in copies.items():
        if layer.built:
            layer.set_weights(model.get_layer(name).get_weights())
    return changed


def exchanged(first: str, second: str) -> Mapping[str, Instead]:
    """Two layers that follow each other, the other way round."""
    return {first: lambda _layer, x, _copy: x, second: lambda layer, x, copy: copy(first)(layer(x))}


def only(layer: str, position: int) -> Mapping[str, Instead]:
    """A merging layer that passes on one of its inputs."""
    return {layer: lambda _layer, xs, _copy: xs[position]}


def run(bench: Workbench, material: Material, instead: Mapping[str, Instead], kind: Format, place: Place) -> Run:
    artifact = material.made_of(rebuilt(material.model, instead), kind, Precision.FLOAT32, bench.folder)
    return bench.rig.run(material, artifact, place, explained=True)


@STRUCTURE.fault("a residual connection lost", "branch_missing", layer="joined")
def _(bench: Workbench) -> Run:
    return run(bench, bench.blocks, only("joined", 0), Format.TFJS, bench.rig.browser("wasm"))


@STRUCTURE.fault("the body of a residual block lost", "branch_missing", layer="joined")
def _(bench: Workbench) -> Run:
    return run(bench, bench.blocks, only("joined", 1), Format.TFLITE, bench.rig.edge("litert"))


@STRUCTURE.fault("the body of a residual block lost, in the SavedModel", "branch_missing", layer="joined")
def _(bench: Workbench) -> Run:
    return run(bench, bench.blocks, only("joined", 1), Format.SAVED_MODEL, bench.rig.in_process())


@STRUCTURE.fault("a gate lost", "branch_missing", layer="gated")
def _(bench: Workbench) -> Run:
    return run(bench, bench.blocks, only("gated", 0), Format.TFLITE, bench.rig.edge("tflite-runtime"))


@STRUCTURE.fault("the way around a dense block lost", "branch_missing", layer="again")
def _(bench: Workbench) -> Run:
    artifact = edits.copied(bench.blocks.artifact(Format.TFJS), bench.folder)
    changed = 0
    with edits.tfjs_graph(artifact.path) as graph:
        for node in graph["modelTopology"]["node"]:
            if node["name"].endswith("again_1/Add") or node["name"].endswith("again_1/add"):
                changed += 1
                node["op"] = "Identity"
                node["input"] = node["input"][:1]
    if changed != 1:
        raise ValueError(f"{changed} additions in the graph")
    return bench.rig.run(bench.blocks, renewed(artifact), bench.rig.browser("wasm"), explained=True)


@STRUCTURE.fault("a branch of a concatenation all zeros", "branch_missing", "input_zeroed", layer="told")
def _(bench: Workbench) -> Run:
    import keras

    def second_zero(layer: Any, xs: Any, _copy: Any) -> Any:
        return layer([xs[0], keras.ops.zeros_like(xs[1])])

    return run(bench, bench.scene, {"told": second_zero}, Format.TFLITE, bench.rig.edge("litert"))


@STRUCTURE.fault("an addition where a product is due", "wrong_operation", layer="gated")
def _(bench: Workbench) -> Run:
    import keras

    def added(_layer: Any, xs: Any, _copy: Any) -> Any:
        return keras.layers.Add(name="summed")(xs)

    return run(bench, bench.blocks, {"gated": added}, Format.SAVED_MODEL, bench.rig.in_process())


@STRUCTURE.fault("a difference the other way round", "operands_swapped", layer="contrast")
def _(bench: Workbench) -> Run:
    def edit(model: Any) -> None:
        # LayerNormalization has differences of its own; the contrast is the last.
        operator = edits.operators(model, "SUB")[-1]
        operator.inputs = np.array(list(operator.inputs)[::-1], np.int32)

    artifact = edits.damaged_tflite(bench.blocks.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.blocks, artifact, bench.rig.edge("litert"), explained=True)


@STRUCTURE.fault(
    "a batch normalization after its activation, in the browser", "operations_reordered", layer="inner_normalized"
)
def _(bench: Workbench) -> Run:
    return run(
        bench, bench.blocks, exchanged("inner_normalized", "inner_active"), Format.TFJS, bench.rig.browser("wasm")
    )


@STRUCTURE.fault(
    "a batch normalization after its activation, in the SavedModel", "operations_reordered", layer="corners_normalized"
)
def _(bench: Workbench) -> Run:
    return run(
        bench,
        bench.scene,
        exchanged("corners_normalized", "corners_active"),
        Format.SAVED_MODEL,
        bench.rig.in_process(),
    )


@STRUCTURE.fault(
    "a batch normalization after its activation and stride", "operations_reordered", layer="corners_normalized"
)
def _(bench: Workbench) -> Run:
    return run(
        bench, bench.scene, exchanged("corners_normalized", "corners_active"), Format.TFLITE, bench.rig.edge("litert")
    )


@STRUCTURE.fault("a layer normalization after its activation", "operations_reordered", layer="leveled")
def _(bench: Workbench) -> Run:
    return run(bench, bench.blocks, exchanged("leveled", "smooth"), Format.TFLITE, bench.rig.edge("litert"))


@STRUCTURE.fault("a normalization left out", "layer_skipped", layer="outer_normalized")
def _(bench: Workbench) -> Run:
    skipped = {"outer_normalized": lambda _layer, x, _copy: x}
    return run(bench, bench.blocks, skipped, Format.TFLITE, bench.rig.edge("tflite-runtime"))


@STRUCTURE.fault("an activation in a residual block lost", "activation_missing", layer="joined_active")
def _(bench: Workbench) -> Run:
    skipped = {"joined_active": lambda _layer, x, _copy: x}
    return run(bench, bench.blocks, skipped, Format.TFLITE, bench.rig.edge("litert"))


@STRUCTURE.fault(
    "a ReLU after a normalization replaced by a leaky one",
    "wrong_attribute",
    "activation_changed",
    layer="inner_active",
)
def _(bench: Workbench) -> Run:
    import keras

    def leaky(_layer: Any, x: Any, _copy: Any) -> Any:
        return keras.layers.LeakyReLU(negative_slope=0.1, name="leaking")(x)

    return run(bench, bench.blocks, {"inner_active": leaky}, Format.TFLITE, bench.rig.edge("litert"))


@STRUCTURE.fault("the tanh form of a GELU", "activation_changed", layer="smooth")
def _(bench: Workbench) -> Run:
    import keras

    def by_tanh(_layer: Any, x: Any, _copy: Any) -> Any:
        return keras.activations.gelu(x, approximate=True)

    return run(bench, bench.blocks, {"smooth": by_tanh}, Format.SAVED_MODEL, bench.rig.in_process())
