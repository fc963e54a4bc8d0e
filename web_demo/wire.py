"""How tensors travel between Python and the parity page: safetensors, in the types that TF.js has."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Signature, Tensors, TensorSpec
from pipeline.core.target import Answers
from pipeline.core.text_tensors import is_text, numbers_as_text, text_as_numbers

_OUTPUT_PREFIX = "output:"
_CALL_SECONDS = "call_seconds"
_FLOAT32_ROUNDOFF = 2.0**-24


def encoded(samples: Tensors, signature: Signature) -> bytes:
    """The samples in TF.js's types: float32, int32, bool, and text as `pipeline.core.text_tensors` puts it in numbers.

    Doubles are rounded to float32. Raises TargetFailed when an input has a type that TF.js lacks and a value that no
    type of TF.js holds: an integer beyond 32 bits, a double beyond what float32 reaches.
    """
    specs = {spec.name: spec for spec in signature.inputs}
    if samples.keys() != specs.keys():
        raise TargetFailed(
            f"the browser was given {sorted(samples)}, the signature takes {sorted(specs)}",
            hint="give exactly the inputs of the signature",
        )
    numbers = text_as_numbers({name: _as_tfjs(array, specs[name]) for name, array in samples.items()})
    # The page counts bytes in int32, which TF.js has.
    narrow = {name: array.astype(np.int32) if array.dtype == np.int64 else array for name, array in numbers.items()}
    return save({name: np.asarray(array, order="C") for name, array in narrow.items()})


def _as_tfjs(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    kind = array.dtype.kind
    if kind == "b" or is_text(array):
        return array
    if kind not in "iuf":
        raise TargetFailed(
            f"input {spec.name} is of type {spec.dtype}, which the parity page cannot carry",
            hint="TF.js targets take numbers, booleans and text: leave the browser out for this model, with --target",
        )
    want = np.dtype(np.float32 if kind == "f" else np.int32)
    if array.dtype == want:
        return array
    # A value out of range may warn, or wrap around silently; what counts is which values are still there.
    with np.errstate(all="ignore"):
        cast = array.astype(want)
    lost = ~_kept(cast, array)
    if lost.any():
        place = tuple(int(index) for index in np.argwhere(lost)[0])
        raise TargetFailed(
            f"input {spec.name} is {array.dtype}, TF.js has only {want}, "
            f"and {int(lost.sum())} of {array.size} values do not fit: the first is {array[place]} at {place}",
            hint=f"export the model with a {want} input, or compare it with samples that fit",
        )
    return cast


def _kept(cast: NDArray[Any], array: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the value is still there: the same integer, or what rounding to float32 makes of a normal number."""
    if array.dtype.kind == "f":
        with np.errstate(all="ignore"):
            wide = array.astype(np.float64)
            near = np.abs(cast - wide) <= _FLOAT32_ROUNDOFF * np.abs(wide)
        return np.asarray(near | np.equal(cast, array) | (np.isnan(cast) & np.isnan(array)), dtype=np.bool_)
    limits = np.iinfo(cast.dtype)
    return np.asarray((array >= limits.min) & (array <= limits.max), dtype=np.bool_)


def decoded(body: bytes, signature: Signature, *, sample_count: int) -> Answers:
    """The page's answers, back in the types of the signature, one row a sample.

    Raises TargetFailed when an output is missing or unknown, has another number of rows, or is not of its type.
    """
    try:
        tensors = numbers_as_text(load(body))
    except (SafetensorError, ValueError) as error:
        raise TargetFailed(f"the browser's answer cannot be read: {error}", hint="run `make setup` again") from error
    seconds = np.asarray(tensors.pop(_CALL_SECONDS), dtype=np.float64)
    outputs = {name.removeprefix(_OUTPUT_PREFIX): array for name, array in tensors.items()}
    specs = {spec.name: spec for spec in signature.outputs}
    if outputs.keys() != specs.keys():
        raise TargetFailed(
            f"the browser answered {sorted(outputs)}, the signature promises {sorted(specs)}",
            hint="convert the model again: its TF.js artifact belongs to another signature",
        )
    return Answers(
        outputs={name: _as_promised(outputs[name], specs[name], sample_count) for name in signature.output_names},
        call_seconds=seconds,
    )


def _as_promised(array: NDArray[Any], spec: TensorSpec, sample_count: int) -> NDArray[Any]:
    if array.shape[:1] != (sample_count,):
        raise TargetFailed(
            f"output {spec.name} has shape {list(array.shape)} for {sample_count} samples",
            hint="a TF.js target needs a model whose outputs have one row a sample",
        )
    if is_text(array) or spec.dtype == "string":
        if not (is_text(array) and spec.dtype == "string"):
            raise TargetFailed(
                f"output {spec.name} is {array.dtype} in the browser, the signature promises {spec.dtype}",
                hint="convert the model again: its TF.js artifact belongs to another signature",
            )
        return array
    want = np.dtype(spec.dtype)
    # TF.js widens what it lacks, so a smaller or larger type of the same kind is no fault of the artifact.
    if {array.dtype.kind, want.kind} not in ({"f"}, {"i"}, {"b"}, {"i", "u"}):
        raise TargetFailed(
            f"output {spec.name} is {array.dtype} in the browser, the signature promises {want}",
            hint="convert the model again: its TF.js artifact belongs to another signature",
        )
    return array.astype(want)
