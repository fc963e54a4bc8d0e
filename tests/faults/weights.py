"""Faults in the weights: flipped bits, exchanged and cut files, old, permuted, zeroed and transposed weights."""

from __future__ import annotations

import math

import numpy as np

from pipeline.core.artifact import Format, Precision
from tests.faults import edits
from tests.faults.fault import Group, Workbench
from tests.faults.materials import renewed
from tests.faults.rig import Run

WEIGHTS = Group("weights")
_SWAPPED = [0, 1, 2, 8, 4, 5, 6, 7, 3, 9]


@WEIGHTS.fault("a bit flipped in a dense kernel of TF.js", "weights_damaged", layer="features")
def _(bench: Workbench) -> Run:
    artifact = edits.copied(bench.digits.artifact(Format.TFJS), bench.folder)
    edits.change_tfjs_weight(artifact.path, (512, 64), lambda kernel: edits.flip_bit(kernel, (200, 13), 30))
    return bench.rig.run(bench.digits, renewed(artifact), bench.rig.browser("cpu"), explained=True)


@WEIGHTS.fault("a bit flipped in a convolution of TFLite", "weights_damaged", layer="shapes")
def _(bench: Workbench) -> Run:
    def edit(model: object) -> None:
        conv = edits.operators(model, "CONV_2D")[1]
        edits.change_tflite_constant(model, conv.inputs[1], lambda kernel: edits.flip_bit(kernel, (3, 1, 1, 7), 29))

    artifact = edits.damaged_tflite(bench.digits.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("litert"), explained=True)


@WEIGHTS.fault("a bit flipped in a quantized bias", "weights_damaged", layer="probabilities")
def _(bench: Workbench) -> Run:
    def edit(model: object) -> None:
        dense = edits.operators(model, "FULLY_CONNECTED")[-1]
        edits.change_tflite_constant(model, dense.inputs[2], lambda bias: edits.flip_bit(bias, (6,), 17))

    artifact = edits.damaged_tflite(bench.digits.artifact(Format.TFLITE, Precision.INT8), bench.folder, edit)
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("tflite-runtime"), explained=True)


@WEIGHTS.fault("two weight files exchanged", "shards_swapped", quick=True)
def _(bench: Workbench) -> Run:
    artifact = edits.copied(bench.digits.artifact(Format.TFJS), bench.folder)
    with edits.tfjs_graph(artifact.path) as graph:
        (group,) = graph["weightsManifest"]
        (path,) = group["paths"]
        content = (artifact.path / path).read_bytes()
        half = len(content) // 8 * 4
        group["paths"] = ["half1of2.bin", "half2of2.bin"]
        # Under one another's names.
        (artifact.path / "half1of2.bin").write_bytes(content[half:])
        (artifact.path / "half2of2.bin").write_bytes(content[:half])
        (artifact.path / path).unlink()
    return bench.rig.run(bench.digits, renewed(artifact), bench.rig.browser("wasm"))


@WEIGHTS.fault("a weight file of TF.js cut short", "artifact_truncated")
def _(bench: Workbench) -> Run:
    artifact = edits.copied(bench.digits.artifact(Format.TFJS), bench.folder)
    (shard,) = artifact.path.glob("*.bin")
    shard.write_bytes(shard.read_bytes()[:-5000])
    return bench.rig.run(bench.digits, renewed(artifact), bench.rig.browser("wasm"))


@WEIGHTS.fault("a TFLite file cut short", "artifact_truncated")
def _(bench: Workbench) -> Run:
    artifact = edits.copied(bench.digits.artifact(Format.TFLITE), bench.folder)
    artifact.path.write_bytes(artifact.path.read_bytes()[:-30000])
    return bench.rig.run(bench.digits, renewed(artifact), bench.rig.edge("litert"))


@WEIGHTS.fault("the variables of a SavedModel cut short", "artifact_truncated")
def _(bench: Workbench) -> Run:
    artifact = edits.copied(bench.digits.artifact(Format.SAVED_MODEL), bench.folder)
    (data,) = (artifact.path / "variables").glob("*.data-*")
    data.write_bytes(data.read_bytes()[:-20000])
    return bench.rig.run(bench.digits, renewed(artifact), bench.rig.in_process())


@WEIGHTS.fault("weights of an older training in the browser", "stale_weights")
def _(bench: Workbench) -> Run:
    artifact = bench.digits.made_of(bench.digits.older, Format.TFJS, Precision.FLOAT32, bench.folder)
    return bench.rig.run(bench.digits, artifact, bench.rig.browser("webgl"))


@WEIGHTS.fault("weights of a training that nobody kept", "other_weights")
def _(bench: Workbench) -> Run:
    artifact = bench.digits.made_of(bench.digits.older, Format.TFLITE, Precision.FLOAT32, bench.folder)
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("litert"), earlier={})


@WEIGHTS.fault("two classes exchanged in the last layer", "classes_permuted", layer="probabilities", quick=True)
def _(bench: Workbench) -> Run:
    def edit(model: object) -> None:
        dense = edits.operators(model, "FULLY_CONNECTED")[-1]
        for tensor in dense.inputs[1:]:
            edits.change_tflite_constant(model, tensor, lambda values: values[_SWAPPED])

    artifact = edits.damaged_tflite(bench.digits.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("tflite-runtime"), explained=True)


@WEIGHTS.fault("two classes exchanged in an int8 file", "classes_permuted", layer="probabilities")
def _(bench: Workbench) -> Run:
    def edit(model: object) -> None:
        dense = edits.operators(model, "FULLY_CONNECTED")[-1]
        for tensor in dense.inputs[1:]:
            edits.change_tflite_constant(model, tensor, lambda values: values[_SWAPPED])

    artifact = edits.damaged_tflite(bench.digits.artifact(Format.TFLITE, Precision.INT8), bench.folder, edit)
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("litert"), explained=True)


@WEIGHTS.fault("a convolution's kernel zeroed", "weights_zeroed", layer="shapes")
def _(bench: Workbench) -> Run:
    def edit(model: object) -> None:
        conv = edits.operators(model, "CONV_2D")[1]
        edits.change_tflite_constant(model, conv.inputs[1], np.zeros_like)

    artifact = edits.damaged_tflite(bench.digits.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("tflite-runtime"), explained=True)


@WEIGHTS.fault("a dense kernel stored transposed", "weights_transposed", layer="features")
def _(bench: Workbench) -> Run:
    artifact = edits.copied(bench.digits.artifact(Format.TFJS), bench.folder)
    edits.change_tfjs_weight(artifact.path, (512, 64), lambda kernel: kernel.T.reshape(kernel.shape))
    return bench.rig.run(bench.digits, renewed(artifact), bench.rig.browser("wasm"), explained=True)


@WEIGHTS.fault("a convolution's channels in another order", "weights_permuted", layer="parts")
def _(bench: Workbench) -> Run:
    def edit(model: object) -> None:
        conv = edits.operators(model, "CONV_2D")[2]
        edits.change_tflite_constant(model, conv.inputs[1], lambda kernel: kernel[::-1])

    artifact = edits.damaged_tflite(bench.scene.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.scene, artifact, bench.rig.edge("litert"), explained=True)


@WEIGHTS.fault("NaN in a bias", "non_finite_weights", layer="probabilities")
def _(bench: Workbench) -> Run:
    artifact = edits.copied(bench.digits.artifact(Format.TFJS), bench.folder)
    edits.change_tfjs_weight(artifact.path, (10,), lambda bias: np.where(np.arange(10) == 4, math.nan, bias))
    return bench.rig.run(bench.digits, renewed(artifact), bench.rig.browser("cpu"), explained=True)
