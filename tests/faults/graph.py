"""Faults in the graph: what a converter, or a port to another framework, does wrong to one layer."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.signature import Signature
from tests.faults import edits
from tests.faults.fault import Group, Workbench
from tests.faults.materials import Material, artifact_at, fresh_version, renewed
from tests.faults.rig import Run

GRAPH = Group("graph")


def with_settings(model: Any, layer: str, **settings: Any) -> Any:
    """The same model and weights, one layer with other settings."""
    import keras

    def clone(own: Any) -> Any:
        config = own.get_config()
        return own.__class__.from_config(config | settings if own.name == layer else config)

    changed = keras.models.clone_model(model, clone_function=clone)
    changed.set_weights(model.get_weights())
    return changed


def in_sequence(model: Any, change: Callable[[list[Any]], list[Any]]) -> Any:
    """A sequential model of the same layers in another order, with some left out or put in."""
    import keras

    return keras.Sequential([keras.Input((8, 8, 1), name="image"), *change(list(model.layers))], name=model.name)


def served(material: Material, call: Callable[..., Any], folder: Path, *, state: Any = None) -> Artifact:
    """A SavedModel whose signature is this function of the inputs; `state` holds the variables that it has besides."""
    import keras
    import tensorflow as tf

    sound = material.artifact(Format.SAVED_MODEL)
    specs = [tf.TensorSpec([None, *spec.shape[1:]], spec.dtype, name=spec.name) for spec in sound.signature.inputs]

    path = folder / str(fresh_version())
    archive = keras.export.ExportArchive()
    archive.track(material.model)
    if state is not None:
        archive.track(state)
    archive.add_endpoint(sound.signature.name, tf.function(call, input_signature=specs, autograph=False))
    archive.write_out(str(path), verbose=False)
    return artifact_at(material.name, Format.SAVED_MODEL, Precision.FLOAT32, path, sound.signature)


def called(signature: Signature, values: Any) -> dict[str, Any]:
    listed = values if isinstance(values, (list, tuple)) else [values]
    return dict(zip(signature.output_names, listed, strict=True))


@GRAPH.fault("flattened channels first", "axes_transposed_inside", layer="flat")
def _(bench: Workbench) -> Run:
    import keras

    def change(layers: list[Any]) -> list[Any]:
        turned = [keras.layers.Permute((3, 1, 2), name="turned"), keras.layers.Flatten(name="flattened")]
        return [keras.Sequential(turned, name="flat") if layer.name == "flat" else layer for layer in layers]

    model = in_sequence(bench.digits.model, change)
    artifact = bench.digits.made_of(model, Format.TFLITE, Precision.FLOAT32, bench.folder)
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("litert"), explained=True)


@GRAPH.fault("a fused activation lost", "activation_missing", layer="features", quick=True)
def _(bench: Workbench) -> Run:
    def edit(model: Any) -> None:
        edits.operators(model, "FULLY_CONNECTED")[0].builtinOptions.fusedActivationFunction = 0

    artifact = edits.damaged_tflite(bench.digits.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("litert"), explained=True)


@GRAPH.fault("a fused activation after a convolution lost", "activation_missing", layer="strokes_active")
def _(bench: Workbench) -> Run:
    def edit(model: Any) -> None:
        edits.operators(model, "CONV_2D")[0].builtinOptions.fusedActivationFunction = 0

    artifact = edits.damaged_tflite(bench.digits.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("tflite-runtime"), explained=True)


@GRAPH.fault("the softmax at the end lost", "softmax_missing", layer="probabilities")
def _(bench: Workbench) -> Run:
    def edit(model: Any) -> None:
        (softmax,) = edits.operators(model, "SOFTMAX")
        graph = model.subgraphs[0]
        graph.operators = [operator for operator in graph.operators if operator is not softmax]
        graph.outputs = [softmax.inputs[0]]
        model.signatureDefs[0].outputs[0].tensorIndex = softmax.inputs[0]

    artifact = edits.damaged_tflite(bench.digits.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("litert"), explained=True)


@GRAPH.fault("a softmax put after the softmax", "softmax_doubled", layer="probabilities")
def _(bench: Workbench) -> Run:
    import keras

    def twice(scores: Any) -> Any:
        return keras.activations.softmax(keras.activations.softmax(scores))

    def change(layers: list[Any]) -> list[Any]:
        return [*layers[:-1], keras.layers.Dense(10, activation=twice, name="probabilities")]

    model = in_sequence(bench.digits.model, change)
    model.layers[-1].set_weights(bench.digits.model.layers[-1].get_weights())
    artifact = bench.digits.made_of(model, Format.TFJS, Precision.FLOAT32, bench.folder)
    return bench.rig.run(bench.digits, artifact, bench.rig.browser("wasm"), explained=True)


@GRAPH.fault("an average where a maximum is due", "wrong_operation", layer="halved")
def _(bench: Workbench) -> Run:
    import keras

    def change(layers: list[Any]) -> list[Any]:
        return [
            keras.layers.AveragePooling2D(2, name="halved") if layer.name == "halved" else layer for layer in layers
        ]

    artifact = bench.digits.made_of(
        in_sequence(bench.digits.model, change), Format.TFJS, Precision.FLOAT32, bench.folder
    )
    return bench.rig.run(bench.digits, artifact, bench.rig.browser("wasm"), explained=True)


@GRAPH.fault("the slope of a leaky activation changed", "wrong_attribute", layer="edges_leaky")
def _(bench: Workbench) -> Run:
    def edit(model: Any) -> None:
        edits.operators(model, "LEAKY_RELU")[0].builtinOptions.alpha = 0.01

    artifact = edits.damaged_tflite(bench.scene.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.scene, artifact, bench.rig.edge("litert"), explained=True)


@GRAPH.fault("an even padding before a convolution with stride 2", "wrong_attribute", layer="corners")
def _(bench: Workbench) -> Run:
    import keras

    def clone(own: Any) -> Any:
        if own.name != "corners":
            return own.__class__.from_config(own.get_config())
        settings = own.get_config() | {"padding": "valid", "name": "convolved"}
        padded = keras.layers.ZeroPadding2D(1, name="padded_evenly")
        return keras.Sequential([padded, keras.layers.Conv2D.from_config(settings)], name="corners")

    model = keras.models.clone_model(bench.scene.model, clone_function=clone)
    model.set_weights(bench.scene.model.get_weights())
    artifact = bench.scene.made_of(model, Format.TFJS, Precision.FLOAT32, bench.folder)
    return bench.rig.run(bench.scene, artifact, bench.rig.browser("cpu"), explained=True)


@GRAPH.fault("another epsilon in a batch normalization", "wrong_attribute", layer="corners_normalized")
def _(bench: Workbench) -> Run:
    model = with_settings(bench.scene.model, "corners_normalized", epsilon=0.1)
    artifact = bench.scene.made_of(model, Format.SAVED_MODEL, Precision.FLOAT32, bench.folder)
    return bench.rig.run(bench.scene, artifact, bench.rig.in_process(), explained=True)


@GRAPH.fault("a batch normalization after its activation", "operations_reordered", layer="strokes_normalized")
def _(bench: Workbench) -> Run:
    def change(layers: list[Any]) -> list[Any]:
        names = [layer.name for layer in layers]
        one, other = names.index("strokes_normalized"), names.index("strokes_active")
        layers[one], layers[other] = layers[other], layers[one]
        return layers

    artifact = bench.digits.made_of(
        in_sequence(bench.digits.model, change), Format.TFLITE, Precision.FLOAT32, bench.folder
    )
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("litert"), explained=True)


@GRAPH.fault("training mode left on, with dropout", "training_mode", layer="strokes_normalized")
def _(bench: Workbench) -> Run:
    sound = bench.digits.artifact(Format.SAVED_MODEL).signature
    model = bench.digits.model
    keep = model.get_weights()
    artifact = served(bench.digits, lambda image: called(sound, model(image, training=True)), bench.folder)
    model.set_weights(keep)
    return bench.rig.run(bench.digits, artifact, bench.rig.in_process(), explained=True)


@GRAPH.fault("training mode left on, without dropout", "training_mode", layer="corners_normalized")
def _(bench: Workbench) -> Run:
    sound = bench.scene.artifact(Format.SAVED_MODEL).signature
    model = bench.scene.model
    keep = model.get_weights()
    artifact = served(
        bench.scene,
        lambda *given: called(sound, model(dict_in_order(model, sound, given), training=True)),
        bench.folder,
    )
    model.set_weights(keep)
    return bench.rig.run(bench.scene, artifact, bench.rig.in_process(), explained=True)


@GRAPH.fault("the inputs of a concatenation in reverse order", "operands_swapped", layer="told")
def _(bench: Workbench) -> Run:
    def edit(model: Any) -> None:
        (operator,) = edits.operators(model, "CONCATENATION")
        operator.inputs = np.array(list(operator.inputs)[::-1], np.int32)

    artifact = edits.damaged_tflite(bench.scene.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.scene, artifact, bench.rig.edge("tflite-runtime"), explained=True)


@GRAPH.fault("a branch of an addition lost", "branch_missing", layer="both")
def _(bench: Workbench) -> Run:
    def edit(model: Any) -> None:
        (add,) = edits.operators(model, "ADD")
        kept = add.inputs[0]
        for operator in model.subgraphs[0].operators:
            if operator is not add:
                operator.inputs = np.array(
                    [kept if tensor == add.outputs[0] else tensor for tensor in operator.inputs], np.int32
                )

    artifact = edits.damaged_tflite(bench.scene.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.scene, artifact, bench.rig.edge("litert"), explained=True)


@GRAPH.fault("a sigmoid replaced by a ReLU", "activation_changed", layer="from_left")
def _(bench: Workbench) -> Run:
    artifact = edits.copied(bench.scene.artifact(Format.TFJS), bench.folder)
    sigmoid, relu = (base64.b64encode(name).decode() for name in (b"Sigmoid", b"Relu"))
    changed = 0
    with edits.tfjs_graph(artifact.path) as graph:
        for node in graph["modelTopology"]["node"]:
            fused = node.get("attr", {}).get("fused_ops", {}).get("list", {}).get("s", [])
            if node["op"] == "Sigmoid" or sigmoid in fused:
                changed += 1
                node["op"] = "Relu" if node["op"] == "Sigmoid" else node["op"]
                fused[:] = [relu if name == sigmoid else name for name in fused]
    if changed != 1:
        raise ValueError(f"{changed} sigmoids in the graph")
    return bench.rig.run(bench.scene, renewed(artifact), bench.rig.browser("wasm"), explained=True)


def dict_in_order(model: Any, signature: Signature, given: Any) -> list[Any]:
    """The tensors in the order in which the model has its inputs."""
    by_name = dict(zip(signature.input_names, given, strict=True))
    return [by_name[tensor.name] for tensor in model.inputs]
