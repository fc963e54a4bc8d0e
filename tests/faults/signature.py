"""Faults in names, numbers and dtypes of inputs and outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline.core.artifact import Format, Precision
from tests.faults import edits
from tests.faults.fault import Group, Workbench
from tests.faults.graph import called, dict_in_order, served
from tests.faults.materials import renewed
from tests.faults.rig import Run

SIGNATURE = Group("signature")


@SIGNATURE.fault("two outputs swapped in TFLite's signature", "outputs_swapped", quick=True)
def _(bench: Workbench) -> Run:
    def edit(model: Any) -> None:
        by_name = {tensor.name.decode(): tensor for tensor in model.signatureDefs[0].outputs}
        kind, twin = by_name["kind"], by_name["twin"]
        kind.tensorIndex, twin.tensorIndex = twin.tensorIndex, kind.tensorIndex

    artifact = edits.damaged_tflite(bench.scene.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.scene, artifact, bench.rig.edge("litert"))


@SIGNATURE.fault("two outputs swapped on the server", "outputs_swapped")
def _(bench: Workbench) -> Run:
    artifact = bench.scene.exported(bench.scene.model, bench.folder, ("twin", "kind", "box"))
    return bench.rig.run(
        bench.scene,
        artifact,
        bench.rig.server("grpc", "scene"),
        expected=bench.scene.artifact(Format.SAVED_MODEL).signature,
    )


@SIGNATURE.fault("two inputs swapped in TFLite's signature", "inputs_swapped")
def _(bench: Workbench) -> Run:
    def edit(model: Any) -> None:
        by_name = {tensor.name.decode(): tensor for tensor in model.signatureDefs[0].inputs}
        left, right = by_name["left"], by_name["right"]
        left.tensorIndex, right.tensorIndex = right.tensorIndex, left.tensorIndex

    artifact = edits.damaged_tflite(bench.scene.artifact(Format.TFLITE), bench.folder, edit)
    return bench.rig.run(bench.scene, artifact, bench.rig.edge("tflite-runtime"))


@SIGNATURE.fault("an output renamed by an export", "outputs_renamed")
def _(bench: Workbench) -> Run:
    artifact = bench.digits.exported(bench.digits.model, bench.folder, ("output_0",))
    sound = bench.digits.artifact(Format.SAVED_MODEL).signature
    return bench.rig.run(bench.digits, replace(artifact, signature=sound), bench.rig.in_process(), expected=sound)


@SIGNATURE.fault("an output missing in the browser's file", "output_missing")
def _(bench: Workbench) -> Run:
    artifact = edits.copied(bench.scene.artifact(Format.TFJS), bench.folder)
    with edits.tfjs_graph(artifact.path) as graph:
        del graph["signature"]["outputs"]["twin"]
    return bench.rig.run(bench.scene, renewed(artifact), bench.rig.browser("wasm"))


@SIGNATURE.fault("whole numbers where fractions are due", "dtype_changed")
def _(bench: Workbench) -> Run:
    import tensorflow as tf

    sound = bench.scene.artifact(Format.SAVED_MODEL).signature
    model = bench.scene.model

    def call(*given: Any) -> Any:
        answers = called(sound, model(dict_in_order(model, sound, given), training=False))
        return answers | {"box": tf.cast(answers["box"], tf.int32)}

    artifact = served(bench.scene, call, bench.folder)
    return bench.rig.run(bench.scene, artifact, bench.rig.in_process())


@SIGNATURE.fault("double precision where single is due", "dtype_changed")
def _(bench: Workbench) -> Run:
    import tensorflow as tf

    sound = bench.digits.artifact(Format.SAVED_MODEL).signature
    model = bench.digits.model
    artifact = served(
        bench.digits, lambda image: called(sound, tf.cast(model(image, training=False), tf.float64)), bench.folder
    )
    return bench.rig.run(bench.digits, artifact, bench.rig.server("grpc"))


@SIGNATURE.fault("an int8 file in the place of the exact one", "quantized_weights")
def _(bench: Workbench) -> Run:
    small = bench.digits.artifact(Format.TFLITE, Precision.INT8)
    return bench.rig.run(bench.digits, replace(small, precision=Precision.FLOAT32), bench.rig.edge("litert"))
