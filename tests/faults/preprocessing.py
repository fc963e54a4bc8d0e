"""Faults before the model: real runtimes are sent what a faulty app would send them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.artifact import Format, Precision
from tests.faults.fault import Group, Workbench
from tests.faults.materials import Material
from tests.faults.rig import Place, Run

PREPROCESSING = Group("preprocessing")
Array = NDArray[Any]


def sent(
    bench: Workbench,
    material: Material,
    place: Place,
    name: str,
    change: Callable[[Array], Array],
    *,
    kind: Format,
    precision: Precision = Precision.FLOAT32,
) -> Run:
    changed = change(material.inputs[name]).astype(material.inputs[name].dtype)
    samples = {**material.inputs, name: np.ascontiguousarray(changed)}
    return bench.rig.run(material, material.artifact(kind, precision), place, samples=samples)


def halved(picture: Array, *, nearest: bool) -> Array:
    """A picture of twice the size, made smaller: by the mean of four places, or by every second one."""
    large = np.repeat(np.repeat(picture, 2, axis=1), 2, axis=2)
    # What a camera sees has no blocks: smooth them as a bilinear enlargement would.
    for axis in (1, 2):
        size = large.shape[axis]
        before = np.take(large, np.clip(np.arange(size) - 1, 0, size - 1), axis=axis)
        after = np.take(large, np.clip(np.arange(size) + 1, 0, size - 1), axis=axis)
        large = 0.25 * before + 0.5 * large + 0.25 * after
    if nearest:
        return large[:, ::2, ::2]
    return np.asarray(large[:, ::2, ::2] + large[:, 1::2, ::2] + large[:, ::2, 1::2] + large[:, 1::2, 1::2]) / 4


@PREPROCESSING.fault("ink not divided by 16", "input_scale")
def _(bench: Workbench) -> Run:
    return sent(bench, bench.digits, bench.rig.server("rest"), "image", lambda x: x * 16, kind=Format.SAVED_MODEL)


@PREPROCESSING.fault("ink not divided by 16, on int8", "input_scale")
def _(bench: Workbench) -> Run:
    return sent(
        bench,
        bench.digits,
        bench.rig.edge("litert"),
        "image",
        lambda x: x * 16,
        kind=Format.TFLITE,
        precision=Precision.INT8,
    )


@PREPROCESSING.fault("divided by 255 once more", "input_scale")
def _(bench: Workbench) -> Run:
    return sent(bench, bench.scene, bench.rig.browser("wasm"), "photo", lambda x: x / 255, kind=Format.TFJS)


@PREPROCESSING.fault("mapped to -1..1", "input_scale")
def _(bench: Workbench) -> Run:
    return sent(bench, bench.scene, bench.rig.edge("litert"), "photo", lambda x: 2 * x - 1, kind=Format.TFLITE)


@PREPROCESSING.fault("blue, green, red", "channels_reversed", quick=True)
def _(bench: Workbench) -> Run:
    return sent(bench, bench.scene, bench.rig.browser("wasm"), "photo", lambda x: x[..., ::-1], kind=Format.TFJS)


@PREPROCESSING.fault("standardized with ImageNet's mean", "input_standardized")
def _(bench: Workbench) -> Run:
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    place = bench.rig.server("grpc", "scene")
    return sent(bench, bench.scene, place, "photo", lambda x: (x - mean) / deviation, kind=Format.SAVED_MODEL)


@PREPROCESSING.fault("resized by every second pixel instead of their mean", "input_resized")
def _(bench: Workbench) -> Run:
    return sent(
        bench, bench.digits, bench.rig.edge("litert"), "image", lambda x: halved(x, nearest=True), kind=Format.TFLITE
    )


@PREPROCESSING.fault("one pixel off", "input_shifted")
def _(bench: Workbench) -> Run:
    def change(x: Array) -> Array:
        moved = np.zeros_like(x)
        moved[:, :, 1:] = x[:, :, :-1]
        return moved

    return sent(bench, bench.digits, bench.rig.browser("cpu"), "image", change, kind=Format.TFJS)


@PREPROCESSING.fault("channels first", "input_layout")
def _(bench: Workbench) -> Run:
    place = bench.rig.server("grpc", "scene")
    return sent(
        bench,
        bench.scene,
        place,
        "photo",
        lambda x: x.transpose(0, 3, 1, 2).reshape(x.shape),
        kind=Format.SAVED_MODEL,
    )


@PREPROCESSING.fault("rows and columns exchanged", "input_transposed")
def _(bench: Workbench) -> Run:
    return sent(
        bench, bench.digits, bench.rig.edge("tflite-runtime"), "image", lambda x: x.swapaxes(1, 2), kind=Format.TFLITE
    )


@PREPROCESSING.fault("upside down, as WebGL reads pixels", "input_flipped")
def _(bench: Workbench) -> Run:
    return sent(bench, bench.digits, bench.rig.browser("webgl"), "image", lambda x: x[:, ::-1], kind=Format.TFJS)


@PREPROCESSING.fault("black on white instead of white on black", "input_inverted")
def _(bench: Workbench) -> Run:
    return sent(bench, bench.digits, bench.rig.browser("wasm"), "image", lambda x: 1 - x, kind=Format.TFJS)


@PREPROCESSING.fault("cut to whole numbers before it is scaled", "input_integers")
def _(bench: Workbench) -> Run:
    return sent(bench, bench.digits, bench.rig.server("rest"), "image", np.trunc, kind=Format.SAVED_MODEL)


@PREPROCESSING.fault("one of three inputs always zero", "input_zeroed")
def _(bench: Workbench) -> Run:
    return sent(bench, bench.scene, bench.rig.edge("litert"), "right", np.zeros_like, kind=Format.TFLITE)
