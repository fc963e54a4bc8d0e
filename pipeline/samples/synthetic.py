"""Samples made up from a signature: different from each other, with structure along every axis, from a seed alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ModelFailed, UsageError
from pipeline.core.known_values import Key, KnownValues
from pipeline.core.signature import Tensors, TensorSpec
from pipeline.samples.wanted import check_names

_COLOURS = (1, 3, 4)
_SMALLEST_IMAGE_SIDE = 4
_NOISE = 0.25
_WAVES = 3
_WORDS = (
    *("the", "a", "good", "bad", "film", "story", "was", "is", "not", "very", "old", "new", "cat", "dog", "house"),
    *("rain", "red", "blue", "first", "last", "never", "always", "Großvater", "naïve", "7", "1999", "ok!", "x"),
)
_MOST_WORDS = 8
_WORDS_ALONE = 0.5
_STRANGE_WORDS = _WORDS[-6:]
_SHARE_OF_STRANGERS = 0.125


_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, eq=False)
class _Values:
    """The range of one input where it has one, what is known of it, and keys that are none of those known."""

    asked: tuple[float, float] | None
    known: KnownValues | None
    strangers: Sequence[Key]


def synthetic_samples(
    inputs: Sequence[TensorSpec],
    *,
    shapes: Mapping[str, Sequence[int]],
    count: int,
    seed: int,
    ranges: Mapping[str, tuple[float, float]],
    known: Mapping[str, KnownValues] = _NOTHING,
    strangers: Mapping[str, Sequence[Key]] = _NOTHING,
) -> Tensors:
    """`count` samples of each input, [count, *shape].

    Numbers lie in the input's range, both ends included for whole ones, else where `known` says, else in
    `default_range`. Text is made of the words that are known and of words that no vocabulary is likely to hold. Keys
    are drawn from those that are known, and an eighth of them from the input's `strangers`. Raises UsageError for a
    range of what has none, and ModelFailed for a dtype of which there are no samples.
    """
    check_names(ranges, inputs, what="--range")
    return {
        spec.name: _samples(
            spec,
            (count, *shapes[spec.name]),
            # A name's own stream: an input that is added or renamed does not change the others.
            np.random.default_rng((seed, *spec.name.encode())),
            _Values(asked=ranges.get(spec.name), known=known.get(spec.name), strangers=strangers.get(spec.name, ())),
        )
        for spec in inputs
    }


def strangers_to(spec: TensorSpec, known: KnownValues) -> Sequence[Key]:
    """Values of the input's type that are none of the keys; empty where no such are found."""
    if spec.dtype == "string":
        return [word.encode() for word in _STRANGE_WORDS if word.encode() not in known.keys]
    numbers = [key for key in known.keys if isinstance(key, int)]
    if not numbers:
        return ()
    beyond = max(numbers) + 1
    return [beyond] if spec.dtype.startswith("float") or beyond <= np.iinfo(spec.dtype).max else ()


def numeric_dtype(spec: TensorSpec) -> np.dtype[Any] | None:
    """NumPy's type of an input of numbers; None of text, booleans and what NumPy has no numbers for."""
    try:
        dtype = np.dtype(spec.dtype)
    except TypeError:
        return None
    return dtype if dtype.kind in "iufc" else None


def default_range(spec: TensorSpec, shape: Sequence[int]) -> tuple[float, float]:
    """0 to 1 for what looks like an image (rows, columns, 1, 3 or 4 colours), -1 to 1 for other floating point numbers.

    0 to 255 for uint8, 0 to 9 for other integers.
    """
    dtype = np.dtype(spec.dtype)
    if dtype == np.uint8:
        return 0.0, 255.0
    if dtype.kind in "iu":
        return 0.0, 9.0
    image = len(shape) == 3 and min(shape[:2]) >= _SMALLEST_IMAGE_SIDE and shape[2] in _COLOURS
    return (0.0, 1.0) if image else (-1.0, 1.0)


def _samples(spec: TensorSpec, shape: tuple[int, ...], random: np.random.Generator, values: _Values) -> NDArray[Any]:
    known = values.known
    if spec.dtype in ("string", "bool"):
        _refuse_range(spec, values.asked)
    if known is not None and known.keys and values.asked is None:
        dtype = np.dtype(object if spec.dtype == "string" else spec.dtype)
        return _drawn(shape, random, known.keys, values.strangers, dtype)
    if spec.dtype == "string":
        words = [] if known is None else [word.decode(errors="replace") for word in known.words]
        return _texts(shape, random, (*words, *_STRANGE_WORDS) if words else _WORDS)
    if spec.dtype == "bool":
        # Each sample has a share of its own.
        return np.asarray(_field(shape, random) < random.uniform(0.2, 0.8, (shape[0], *[1] * (len(shape) - 1))))
    return _numbers(spec, shape, random, values)


def _numbers(spec: TensorSpec, shape: tuple[int, ...], random: np.random.Generator, values: _Values) -> NDArray[Any]:
    known, dtype = values.known, numeric_dtype(spec)
    if dtype is None:
        raise ModelFailed(
            f"input `{spec.name}` is of dtype {spec.dtype}, of which no samples can be made",
            hint="export the model with inputs of floating point numbers, integers, booleans or text",
        )
    if values.asked is None and known is not None and known.around is not None:
        middle, distance = known.around
        return _as_type(_spread(shape, random, middle - distance, middle + distance), dtype)
    low, high = values.asked or default_range(spec, shape[1:])
    # A table of one row has a range of one value.
    if known is None or known.between != (low, high):
        _check_range(spec, dtype, low, high)
    if dtype.kind == "c":
        return np.asarray(_spread(shape, random, low, high) + 1j * _spread(shape, random, low, high), dtype=dtype)
    if dtype.kind in "iu" or (known is not None and known.whole):
        # Each integer gets an equal share of the field, which is even in distribution.
        steps = math.floor(high) - math.ceil(low) + 1
        rows = np.minimum((_even(shape, random) * steps).astype(np.int64), steps - 1)
        return np.asarray(rows + math.ceil(low)).astype(dtype)
    return _as_type(_spread(shape, random, low, high), dtype)


def _as_type(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
    # Numbers that float32 holds, too: a target that has nothing wider can then be asked the same.
    return values.astype(np.float32).astype(dtype)


def _drawn(
    shape: tuple[int, ...], random: np.random.Generator, keys: Sequence[Key], strangers: Sequence[Key], dtype: Any
) -> NDArray[Any]:
    every = np.array([*keys, *strangers], dtype=dtype)
    picked = np.minimum((_even(shape, random) * len(keys)).astype(np.int64), len(keys) - 1)
    if strangers:
        others = len(keys) + random.integers(len(strangers), size=shape)
        picked = np.where(random.random(shape) < _SHARE_OF_STRANGERS, others, picked)
    return np.asarray(every[picked])


def _spread(
    shape: tuple[int, ...],
    random: np.random.Generator,
    low: float | NDArray[np.float64],
    high: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    return low + (high - low) * _field(shape, random)


def _field(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
    """Values in 0 to 1, [samples, ...]: waves along every axis with noise on them, and a level and contrast a sample.

    Transposed, mirrored or shifted axes change such a sample, as they would an image or a recording; pure noise would
    come out of any average the same, and samples of one level would hide a wrong scale.
    """
    samples, *axes = shape
    if not axes:
        # One number a sample: evenly over the range, in random order.
        return np.asarray(random.permutation(samples) + random.uniform(0, 1, samples)) / max(samples, 1)
    waves = np.zeros(shape)
    if not waves.size:
        return waves
    for _ in range(_WAVES):
        wave = np.ones(shape)
        for axis, size in enumerate(axes, start=1):
            place = (np.arange(size) / size).reshape([-1 if at == axis else 1 for at in range(len(shape))])
            each = (samples, *[1] * len(axes))
            cycles, phase = random.uniform(0.3, 2.5, each), random.uniform(0, 2 * np.pi, each)
            wave = wave * np.sin(2 * np.pi * cycles * place + phase)
        waves += wave
    rough = waves + _NOISE * random.standard_normal(shape)
    flat = rough.reshape(samples, -1)
    flat = (flat - flat.min(axis=1, keepdims=True)) / np.maximum(np.ptp(flat, axis=1, keepdims=True), 1e-12)
    contrast = random.uniform(0.3, 1.0, (samples, 1))
    level = random.uniform(0.0, 1.0, (samples, 1)) * (1 - contrast)
    if flat.shape[1] == 1:
        flat = np.asarray(random.uniform(0, 1, (samples, 1)))
    return np.asarray((level + contrast * flat).reshape(shape))


def _even(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
    """Values in 0 to 1 whose distribution over all samples is even, with a leaning of its own to each sample.

    Indices have no waves: an embedding looks each of them up for itself.
    """
    leaning = random.uniform(0.6, 1.7, (shape[0], *[1] * (len(shape) - 1)))
    return np.asarray(random.uniform(0, 1, shape) ** leaning)


def _texts(shape: tuple[int, ...], random: np.random.Generator, words: Sequence[str]) -> NDArray[Any]:
    texts = np.empty(shape, dtype=object)
    for place in np.ndindex(shape):
        # Tables look a text up as a whole, and would know hardly any of several words.
        alone = random.random() < _WORDS_ALONE
        picked = random.choice(len(words), size=1 if alone else int(random.integers(1, _MOST_WORDS + 1)))
        texts[place] = " ".join(words[at] for at in picked).encode()
    return texts


def _refuse_range(spec: TensorSpec, asked: tuple[float, float] | None) -> None:
    if asked is not None:
        raise UsageError(
            f"--range {spec.name}: the input is of dtype {spec.dtype}, which has no range",
            hint="give samples of your own with --samples",
        )


def _check_range(spec: TensorSpec, dtype: np.dtype[Any], low: float, high: float) -> None:
    least, most = _limits(dtype)
    whole = dtype.kind not in "iu" or (float(low).is_integer() and float(high).is_integer())
    if not (low < high and least <= low and high <= most and whole):
        raise UsageError(
            f"--range {spec.name}={low:g}:{high:g} cannot be: the input is {spec.dtype}",
            hint="give a lower and a higher number that this type can hold",
        )


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """What made-up values of the type may be: of floating point numbers, no more than float32 holds."""
    if dtype.kind in "iu":
        return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    most = min(float(np.finfo(dtype).max), float(np.finfo(np.float32).max))
    return -most, most
