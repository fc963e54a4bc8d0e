"""Faults of quantization: ranges from the wrong data, scales and zero points that do not belong together."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from pipeline.core.artifact import Artifact, Format, Precision
from tests.faults import edits
from tests.faults.fault import Group, Workbench
from tests.faults.materials import renewed
from tests.faults.rig import Run

QUANTIZATION = Group("quantization")


def reinterpreted(
    artifact: Artifact, bench: Workbench, tensor_of: Any, *, scale: float = 1.0, zero_point: int = 0
) -> Artifact:
    """One tensor's codes passed on under another scale and zero point, by an operation that copies them."""

    def edit(model: Any) -> None:
        from tensorflow.lite.python import schema_py_generated as schema

        graph = model.subgraphs[0]
        source, consumers = tensor_of(model)
        tensor = copy.deepcopy(graph.tensors[source])
        tensor.name += b"_passed_on"
        quantization = tensor.quantization
        quantization.scale = np.array([quantization.scale[0] * scale], np.float32)
        quantization.zeroPoint = np.array([quantization.zeroPoint[0] + zero_point], np.int64)
        graph.tensors.append(tensor)
        passed = len(graph.tensors) - 1
        shaping = schema.OperatorT()
        shaping.outputs = np.array([passed], np.int32)
        existing = [
            index
            for index, known in enumerate(model.operatorCodes)
            if known.builtinCode == schema.BuiltinOperator.RESHAPE
        ]
        shaping.opcodeIndex = existing[0]
        shape = schema.TensorT()
        shape.name, shape.type = b"as_it_is", schema.TensorType.INT32
        sizes = [-1, *list(tensor.shape)[1:]]
        shape.shape = np.array([len(sizes)], np.int32)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.array(sizes, np.int32).tobytes(), np.uint8)
        model.buffers.append(buffer)
        shape.buffer = len(model.buffers) - 1
        graph.tensors.append(shape)
        shaping.inputs = np.array([source, len(graph.tensors) - 1], np.int32)
        shaping.builtinOptionsType = schema.BuiltinOptions.NONE
        for consumer in consumers:
            consumer.inputs = np.array([passed if one == source else one for one in consumer.inputs], np.int32)
        graph.operators.insert(min(graph.operators.index(consumer) for consumer in consumers), shaping)

    return edits.damaged_tflite(artifact, bench.folder, edit)


def box_output(model: Any) -> tuple[int, list[Any]]:
    """The quantized tensor of the output `box`, and what makes floats of it."""
    (index,) = [tensor.tensorIndex for tensor in model.signatureDefs[0].outputs if tensor.name == b"box"]
    (dequantize,) = [one for one in edits.operators(model, "DEQUANTIZE") if index in list(one.outputs)]
    return int(dequantize.inputs[0]), [dequantize]


def quantized_image(model: Any) -> tuple[int, list[Any]]:
    """The quantized input of digits, and the convolution that takes it."""
    return int(edits.operators(model, "CONV_2D")[0].inputs[0]), [edits.operators(model, "CONV_2D")[0]]


@QUANTIZATION.fault("ranges from samples that are ten times too small", "range_too_small", quick=True)
def _(bench: Workbench) -> Run:
    small = {"image": bench.digits.representative["image"] * np.float32(0.1)}
    artifact = bench.digits.made_of(
        bench.digits.model, Format.TFLITE, Precision.INT8, bench.folder, representative=small
    )
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("litert"))


@QUANTIZATION.fault("ranges from one blank picture", "range_too_small")
def _(bench: Workbench) -> Run:
    blank = {name: np.zeros_like(array[:1]) for name, array in bench.scene.representative.items()}
    artifact = bench.scene.made_of(bench.scene.model, Format.TFLITE, Precision.INT8, bench.folder, representative=blank)
    return bench.rig.run(bench.scene, artifact, bench.rig.edge("tflite-runtime"))


@QUANTIZATION.fault("an output's range four times too small", "output_saturated")
def _(bench: Workbench) -> Run:
    def edit(model: Any) -> None:
        index, _ = box_output(model)
        quantization = model.subgraphs[0].tensors[index].quantization
        quantization.scale = np.array([quantization.scale[0] / 4], np.float32)

    artifact = edits.damaged_tflite(bench.scene.artifact(Format.TFLITE, Precision.INT8), bench.folder, edit)
    return bench.rig.run(bench.scene, artifact, bench.rig.edge("litert"))


@QUANTIZATION.fault("an output's zero point off", "output_offset")
def _(bench: Workbench) -> Run:
    artifact = reinterpreted(bench.scene.artifact(Format.TFLITE, Precision.INT8), bench, box_output, zero_point=40)
    return bench.rig.run(bench.scene, artifact, bench.rig.edge("litert"))


@QUANTIZATION.fault("an output's scale off", "output_scaled")
def _(bench: Workbench) -> Run:
    artifact = reinterpreted(bench.scene.artifact(Format.TFLITE, Precision.INT8), bench, box_output, scale=2.0)
    return bench.rig.run(bench.scene, artifact, bench.rig.edge("tflite-runtime"))


@QUANTIZATION.fault("the input's scale off", "input_scale")
def _(bench: Workbench) -> Run:
    artifact = reinterpreted(bench.digits.artifact(Format.TFLITE, Precision.INT8), bench, quantized_image, scale=3.0)
    with edits.tflite(artifact) as model:
        # A bias counts in steps of the input's scale, and is to stay what it was.
        bias = edits.operators(model, "CONV_2D")[0].inputs[2]
        edits.change_tflite_constant(model, bias, lambda steps: np.round(steps / 3))
    artifact = renewed(artifact)
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("litert"))


@QUANTIZATION.fault("a kernel's scale off", "weights_scaled", layer="features")
def _(bench: Workbench) -> Run:
    def edit(model: Any) -> None:
        kernel = edits.operators(model, "FULLY_CONNECTED")[0].inputs[1]
        quantization = model.subgraphs[0].tensors[kernel].quantization
        quantization.scale = np.asarray(quantization.scale, np.float32) * np.float32(4)

    artifact = edits.damaged_tflite(bench.digits.artifact(Format.TFLITE, Precision.INT8), bench.folder, edit)
    return bench.rig.run(bench.digits, artifact, bench.rig.edge("litert"), explained=True)
