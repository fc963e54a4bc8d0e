"""Causes before the model: what an app may do wrong to an input, as transforms of the samples."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors
from pipeline.diagnosis.rule import Freedom

Array = NDArray[Any]
Transform = Callable[[Array], Array]

# Of ImageNet, in 0..1 and in the order red, green, blue, as torchvision and keras.applications have them.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)
_SCALES = {
    "255 times too large: it was not divided by 255": 255.0,
    "255 times too small: it was divided by 255 once more": 1 / 255,
    "256 times too large": 256.0,
    "half as large": 0.5,
    "twice as large": 2.0,
}
_LINES = {
    "mapped to -1..1 where 0..1 is due": (2.0, -1.0),
    "mapped to 0..1 where -1..1 is due": (0.5, 0.5),
    "mapped to -1..1 from 0..255, or left at 0..255 where -1..1 is due": (127.5, 127.5),
    "mapped by (x - 127.5) / 127.5 once more": (1 / 127.5, -1.0),
    "shifted by -0.5": (1.0, -0.5),
    "shifted by 0.5": (1.0, 0.5),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Changed:
    """Samples as a faulty app would send them."""

    cause: str
    sentence: str
    samples: Tensors
    freedom: Freedom = Freedom.ONE_OF_FEW


def changes(samples: Tensors) -> Iterator[Changed]:
    """Every cause of this kind without a fitted number, input by input."""
    for name, array in samples.items():
        for cause, sentence, transform in _transforms(array):
            changed = transform(array)
            if changed.shape == array.shape and not np.array_equal(changed, array):
                yield Changed(
                    cause=cause,
                    sentence=f"input `{name}` is {sentence}",
                    samples={**samples, name: changed.astype(array.dtype)},
                )
                if cause == "input_scale":
                    yield Changed(
                        cause=cause,
                        sentence=f"input `{name}` is {sentence}, and cut off at its range",
                        samples={**samples, name: np.clip(changed, array.min(), array.max()).astype(array.dtype)},
                    )
    for one, other in itertools.combinations(samples, 2):
        if samples[one].shape == samples[other].shape and samples[one].dtype == samples[other].dtype:
            yield Changed(
                cause="inputs_swapped",
                sentence=f"inputs `{one}` and `{other}` are swapped",
                samples={**samples, one: samples[other], other: samples[one]},
            )


def scaled(samples: Tensors, name: str, factor: float) -> Changed:
    """One input, all its values times `factor`, which was fitted to the answers."""
    whole = abs(factor - round(factor)) < 0.01 * factor and factor > 1.5
    size = f"{round(factor)}" if whole else f"{factor:.4g}"
    return Changed(
        cause="input_scale",
        sentence=f"input `{name}` is {size} times what it should be: a scaling is missing or done twice",
        samples={**samples, name: (samples[name] * factor).astype(samples[name].dtype)},
        freedom=Freedom.FITTED,
    )


def _transforms(array: Array) -> Iterator[tuple[str, str, Transform]]:
    if array.dtype.kind in "iu":
        yield from _of_integers(array)
    elif array.dtype.kind == "f":
        yield from _of_floats(array)
    if array.dtype.kind in "fiu" and array.ndim > 1:
        yield from _of_places(array)


def _of_integers(array: Array) -> Iterator[tuple[str, str, Transform]]:
    low, high = array.min(), array.max()
    yield "input_off_by_one", "one too large: ids count from 1 where 0 is due", lambda ids: np.clip(ids + 1, low, high)
    yield "input_off_by_one", "one too small: ids count from 0 where 1 is due", lambda ids: np.clip(ids - 1, low, high)
    yield "input_zeroed", "ignored, or always zero", np.zeros_like


def _of_floats(array: Array) -> Iterator[tuple[str, str, Transform]]:
    for sentence, factor in _SCALES.items():
        yield "input_scale", sentence, functools.partial(_line, scale=factor, offset=0.0)
    for sentence, (scale, offset) in _LINES.items():
        yield "input_scale", sentence, functools.partial(_line, scale=scale, offset=offset)
    yield "input_inverted", "inverted: its lowest value is its highest", lambda x: x.max() + x.min() - x
    yield "input_zeroed", "ignored, or always zero", np.zeros_like
    yield "input_zeroed", "ignored, or always its mean", lambda x: np.broadcast_to(x.mean(0, keepdims=True), x.shape)
    yield "input_integers", "cut to whole numbers before it is scaled", np.trunc
    yield "input_integers", "rounded to whole numbers", np.rint
    yield "input_integers", "rounded to whole numbers of 255", lambda x: np.rint(x * 255) / 255
    yield "input_float16", "rounded to float16", lambda x: x.astype(np.float16).astype(x.dtype)
    yield "input_standardized", "standardized by its own mean and deviation", lambda x: (x - x.mean()) / (x.std() or 1)
    yield "input_standardized", "standardized sample by sample", _standardized_by_sample
    if array.ndim == 4 and array.shape[-1] == 3:
        mean, deviation = np.array(_MEAN), np.array(_DEVIATION)
        yield "input_standardized", "standardized with ImageNet's mean and deviation", lambda x: (x - mean) / deviation
        yield (
            "input_standardized",
            "not standardized with ImageNet's mean and deviation",
            (lambda x: x * deviation + mean),
        )
        yield (
            "input_standardized",
            "prepared as Caffe does (BGR, ImageNet's mean subtracted from 0..255)",
            (lambda x: x[..., ::-1] * 255 - np.array(_CAFFE_MEAN)),
        )


def _of_places(array: Array) -> Iterator[tuple[str, str, Transform]]:
    yield "input_rows_shifted", "one sample late", lambda x: np.roll(x, 1, axis=0)
    yield "input_rows_shifted", "one sample early", lambda x: np.roll(x, -1, axis=0)
    if array.ndim == 2:
        yield "input_reversed", "reversed along axis 0 of a sample", lambda x: x[:, ::-1]
        for by in (1, -1):
            yield "input_shifted", f"shifted by {by} place", functools.partial(np.roll, shift=by, axis=1)
        return
    if array.ndim == 4:
        yield from _of_channels(array)
    if array.ndim >= 3 and array.shape[1] == array.shape[2]:
        yield "input_transposed", "transposed: rows are columns", lambda x: np.swapaxes(x, 1, 2)
        yield "input_rotated", "turned by 90 degrees", lambda x: np.rot90(x, 1, axes=(1, 2))
        yield "input_rotated", "turned by -90 degrees", lambda x: np.rot90(x, -1, axes=(1, 2))
    yield "input_flipped", "upside down", lambda x: x[:, ::-1]
    yield "input_flipped", "mirrored left to right", lambda x: x[:, :, ::-1]
    yield "input_rotated", "turned by 180 degrees", lambda x: x[:, ::-1, ::-1]
    for axis, by in itertools.product((1, 2), (1, -1, 2, -2)):
        way = f"{by} place along axis {axis - 1} of a sample"
        yield "input_shifted", f"shifted by {way}, zeros moving in", functools.partial(_shifted, axis=axis, by=by)
        yield (
            "input_shifted",
            f"shifted by {way}, the edge repeated",
            (functools.partial(_shifted, axis=axis, by=by, edge=True)),
        )
        yield "input_shifted", f"rolled by {way}", functools.partial(np.roll, shift=by, axis=axis)
    for by in (1, -1):
        yield (
            "input_shifted",
            f"shifted by {by} place along both axes, zeros moving in",
            (functools.partial(_shifted_twice, by=by)),
        )
    if array.dtype.kind == "f":
        yield from _of_resizing()


def _of_channels(array: Array) -> Iterator[tuple[str, str, Transform]]:
    match array.shape[-1]:
        case 2:
            yield "channels_reversed", "with its two channels exchanged", lambda x: x[..., ::-1]
        case 3:
            yield "channels_reversed", "in the order blue, green, red", lambda x: x[..., ::-1]
            yield "channels_reversed", "with its first channel last", lambda x: x[..., [1, 2, 0]]
            yield "channels_reversed", "with its last channel first", lambda x: x[..., [2, 0, 1]]
        case 4:
            yield "channels_reversed", "in the order blue, green, red, alpha", lambda x: x[..., [2, 1, 0, 3]]
        case _:
            pass
    yield "input_layout", "laid out channels first (NCHW)", lambda x: x.transpose(0, 3, 1, 2).reshape(x.shape)
    yield "input_layout", "read as channels first (NCHW)", _read_as_channels_first


def _of_resizing() -> Iterator[tuple[str, str, Transform]]:
    """What another resize method leaves at the model's size: as filters of a sample's rows and columns."""
    for before, after in ((0.25, 0.0), (0.0, 0.25), (0.5, 0.0), (0.0, 0.5), (0.125, 0.125), (0.25, 0.25)):
        if before == after:
            what = f"blurred, {before:g} of each neighbour"
        else:
            side = "above and left" if before else "below and right"
            what = f"sampled {before + after:g} of a place {side} of where it should be"
        yield (
            "input_resized",
            f"resized by another method: {what}",
            functools.partial(_filtered, before=before, after=after),
        )
    yield (
        "input_resized",
        "resized by another method: every second row and column doubled",
        (lambda x: np.repeat(np.repeat(x[:, ::2, ::2], 2, axis=1), 2, axis=2)[:, : x.shape[1], : x.shape[2]]),
    )


def _line(values: Array, *, scale: float, offset: float) -> Array:
    return values * scale + offset


def _standardized_by_sample(values: Array) -> Array:
    axes = tuple(range(1, values.ndim))
    deviation = values.std(axis=axes, keepdims=True)
    return np.asarray((values - values.mean(axis=axes, keepdims=True)) / np.where(deviation == 0, 1, deviation))


def _read_as_channels_first(values: Array) -> Array:
    count, height, width, channels = values.shape
    return values.reshape(count, channels, height, width).transpose(0, 2, 3, 1)


def _shifted(values: Array, *, axis: int, by: int, edge: bool = False) -> Array:
    """Along one axis; zeros or copies of the edge move in."""
    size = values.shape[axis]
    source = np.clip(np.arange(size) - by, 0, size - 1)
    moved = np.take(values, source, axis=axis)
    if edge:
        return moved
    empty = (np.arange(size) - by < 0) | (np.arange(size) - by >= size)
    shape = [1] * values.ndim
    shape[axis] = size
    return np.where(empty.reshape(shape), 0, moved)


def _shifted_twice(values: Array, *, by: int) -> Array:
    return _shifted(_shifted(values, axis=1, by=by), axis=2, by=by)


def _filtered(values: Array, *, before: float, after: float) -> Array:
    for axis in (1, 2):
        values = (
            (1 - before - after) * values
            + before * _shifted(values, axis=axis, by=1, edge=True)
            + after * _shifted(values, axis=axis, by=-1, edge=True)
        )
    return values
