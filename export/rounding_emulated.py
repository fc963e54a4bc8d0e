"""How far a model's outputs move when everything in it is rounded as a precision rounds it: tried out, on its graph.

Nothing that was converted is looked at, so no fault of a converter or a runtime can hide in the prediction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.graph_to_round import GraphToRound
from export.masks_to_round import masking
from export.rounded_graph import (
    halves_in,
    in_integers,
    noisy,
    roundings_by_node,
    with_constants,
    with_weights,
)
from export.weight_roundings import to_float16, to_float16_scaled, to_int8, to_levels, where_it_fits
from pipeline.core.signature import Tensors

_SEED = 7
# TFLite's converter leaves smaller weights in float when it quantizes weights only.
_SMALLEST_QUANTIZED = 1024
_ONE_BY_ONE = 64
_TO_FLOAT16 = (where_it_fits(to_float16), where_it_fits(to_float16_scaled))


@dataclass(frozen=True, kw_only=True)
class Moved:
    """How far one output moved: its largest distance, and signal to noise in dB (infinite when it did not move).

    Infinite distance and noise say that most of the output became infinite or NaN: how near a real artifact, which has
    other ranges, stays to it is not known.
    """

    max_error: float
    sqnr_db: float


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """What the precisions do to each output, by precision; the worst-case ULP of the whole graph; its operations.

    `computed_in` is what a model of half floats rounds to, whose noise is in all of them then.
    """

    moved: Mapping[str, Mapping[str, Moved]]
    worst_case_ulps: int
    operations: Mapping[str, int]
    computed_in: str = "float32"


def emulated(graph: GraphToRound, samples: Tensors, own: Tensors) -> Rounding:
    """Try all precisions out on the samples, to which the graph itself answers `own`.

    All are answered twelve times, by masked attention once more. Outputs that are no floats are left out. Raises what
    TensorFlow raises.
    """
    operations = roundings_by_node(graph)
    floats = [name for name, array in own.items() if array.dtype.kind == "f"]

    def moved(changed: GraphToRound) -> dict[str, Moved]:
        got = changed.answers(samples)
        return {name: _moved(own[name], got[name]) for name in floats}

    # One changed graph at a time: each holds all weights, and TensorFlow copies them for its session.
    own_noise = _worst([moved(noisy(graph, seed=seed)) for seed in (_SEED, _SEED + 1)])
    by_precision = {
        "float16": _worst([moved(with_constants(graph, _TO_FLOAT16[0], weights=one)) for one in _TO_FLOAT16]),
        "tfjs float16": _worst([moved(with_constants(graph, narrowed)) for narrowed in _TO_FLOAT16]),
        "uint8": moved(with_constants(graph, to_levels(255))),
        "uint16": moved(with_constants(graph, to_levels(65_535))),
        "int8": moved(in_integers(graph, bits=8, in_float=masking(graph, samples))),
        # Its quantizer leaves nothing in float.
        "int16x8": moved(in_integers(graph, bits=16, in_float={})),
        "dynamic": _dynamic(
            with_weights(graph, to_int8, activation_bits=8, smallest=_SMALLEST_QUANTIZED), samples, own, floats
        ),
    }
    computed_in = halves_in(graph)
    if computed_in != "float32":
        # The reference has this noise, whatever a precision does.
        by_precision = {name: _together(found, own_noise) for name, found in by_precision.items()}
    # WebGL's functions are less exact than this noise, and a loop feeds that back: there the general bounds stand.
    loops = any(node.op == "Enter" for node in graph.graph.node)
    return Rounding(
        moved=by_precision if loops else {"float32": own_noise, **by_precision},
        worst_case_ulps=sum(count for _, _, count in operations),
        operations=_counted([op for _, op, count in operations if count]),
        computed_in=computed_in,
    )


def _dynamic(graph: GraphToRound, samples: Tensors, own: Tensors, floats: list[str]) -> dict[str, Moved]:
    """Each sample's values by their own range, one sample a call: of those that move most in one batch."""
    moved = graph.answers(samples)
    distance = sum(np.abs(moved[name] - own[name]).reshape(len(own[name]), -1).max(axis=1) for name in floats)
    chosen = np.argsort(-np.asarray(distance), kind="stable")[:_ONE_BY_ONE]
    with graph.session() as ask:
        parts = [ask({name: array[at : at + 1] for name, array in samples.items()}) for at in chosen]
    return {name: _moved(own[name][chosen], np.concatenate([part[name] for part in parts])) for name in floats}


def _moved(own: NDArray[Any], got: NDArray[Any]) -> Moved:
    want = own.astype(np.float64)
    with np.errstate(invalid="ignore"):
        errors = got.astype(np.float64) - want
    finite = np.isfinite(errors)
    if 2 * finite.sum() < np.isfinite(want).sum():
        return Moved(max_error=math.inf, sqnr_db=-math.inf)
    noise, signal = float(np.square(errors[finite]).sum()), float(np.square(want[finite]).sum())
    return Moved(
        max_error=float(np.abs(errors[finite]).max(initial=0.0)),
        sqnr_db=float(10 * np.log10(signal / noise)) if noise > 0 and signal > 0 else float("inf"),
    )


def _together(first: Mapping[str, Moved], second: Mapping[str, Moved]) -> dict[str, Moved]:
    """Two independent noises at once: errors may add up, powers do."""

    def both(one: Moved, other: Moved) -> Moved:
        noise = 10 ** (-one.sqnr_db / 10) + 10 ** (-other.sqnr_db / 10)
        return Moved(
            max_error=one.max_error + other.max_error,
            sqnr_db=float(-10 * np.log10(noise)) if noise > 0 else float("inf"),
        )

    return {name: both(found, second[name]) for name, found in first.items()}


def _worst(several: list[dict[str, Moved]]) -> dict[str, Moved]:
    return {
        name: Moved(
            max_error=max(one[name].max_error for one in several), sqnr_db=min(one[name].sqnr_db for one in several)
        )
        for name in several[0]
    }


def _counted(ops: list[str]) -> dict[str, int]:
    return {op: ops.count(op) for op in sorted(set(ops))}
