"""From an exported graph to the profile that tolerances are derived from: rounding is tried out on it."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from export.rounding_emulated import Rounding
from pipeline.core.signature import Tensors, sample_count
from pipeline.parity.profile import NoProfile, OutputProfile, Predicted, Profile

if TYPE_CHECKING:
    from export.graph_to_round import GraphToRound

_MOST_SAMPLES = 512
_MOST_BYTES = 16 << 20
_LEAST_SAMPLES = 4
_WITHIN_SECONDS = 60.0
_TIMES_ASKED = 12
"""How often `emulated` has every sample answered: once for a precision, twice for float32 and both kinds of float16."""
_LARGEST_GRAPH_BYTES = 600_000_000


def profiled(saved_model: Path, signature: str, inputs: Tensors, reference: Tensors) -> Profile | NoProfile:
    """Try out what rounding does to the signature's graph, on some of the samples; `reference` answers all of them.

    Of a graph that computes in halves or doubles it is tried out on a copy in float32, as the converters get it, with
    the noise of halves where the model rounds to them. A graph that TensorFlow cannot freeze or run in one piece gives
    the reason instead.
    """
    import tensorflow as tf

    from export.graph_to_round import frozen
    from export.lowered_saved_model import in_float32
    from export.rounding_emulated import emulated

    rows = chosen_rows(inputs)
    asked = {name: array[rows] for name, array in inputs.items()}
    try:
        graph = frozen(saved_model, signature)
        _refuse_too_large(graph)
        started = time.perf_counter()
        own = graph.answers(asked)
        tried = affordable(len(rows), time.perf_counter() - started)
        wanted = {name: array[rows[tried]] for name, array in reference.items()}
        asked, own = ({name: array[tried] for name, array in tensors.items()} for tensors in (asked, own))
        with in_float32(saved_model) as copy:
            rounding = emulated(graph, asked, own) if copy is None else _emulated_on(frozen(copy, signature), asked)
        return profile_of(rounding, own, wanted, left_out=len(rows) - len(tried))
    except (ValueError, TypeError, KeyError, RuntimeError, NotImplementedError, tf.errors.OpError) as error:
        return NoProfile(unavailable=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _emulated_on(graph: GraphToRound, asked: Tensors) -> Rounding:
    from export.rounding_emulated import emulated

    return emulated(graph, asked, graph.answers(asked))


def _refuse_too_large(graph: GraphToRound) -> None:
    if graph.size_bytes > _LARGEST_GRAPH_BYTES:
        raise ValueError(
            f"the graph holds {graph.size_bytes / 1e6:.0f} MB of weights, and several copies are made of it"
        )


def chosen_rows(inputs: Tensors) -> NDArray[np.int64]:
    """Evenly spaced samples: at most 512, and no more than fit into 16 MB, but one at least."""
    count = sample_count(inputs)
    bytes_each = max(1, sum(array.nbytes for array in inputs.values()) // max(count, 1))
    most = max(1, min(count, _MOST_SAMPLES, _MOST_BYTES // bytes_each))
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))


def affordable(count: int, seconds: float) -> NDArray[np.int64]:
    """Evenly spaced ones of `count` samples, which the graph took so long to answer once: no more than a minute takes.

    Of a large model that is few, but always four.
    """
    most = int(count * _WITHIN_SECONDS / max(_TIMES_ASKED * seconds, 1e-9))
    chosen = min(count, max(most, _LEAST_SAMPLES))
    return np.unique(np.linspace(0, count - 1, chosen).round().astype(np.int64))


def profile_of(rounding: Rounding, own: Tensors, reference: Tensors, *, left_out: int = 0) -> Profile:
    """`own` is what the graph answered unchanged, `reference` what the trained model did, both to the same samples.

    `left_out` says how many more would have taken too long.
    """
    outputs = {}
    for name in next(iter(rounding.moved.values())):
        distance = np.abs(own[name].astype(np.float64) - reference[name].astype(np.float64))
        magnitude = np.abs(reference[name].astype(np.float64))
        outputs[name] = OutputProfile(
            dtype=reference[name].dtype.name,
            magnitude=float(magnitude[np.isfinite(magnitude)].max(initial=0.0)),
            noise=float(distance[np.isfinite(distance)].max(initial=0.0)),
            moved={
                precision: Predicted(
                    max_error=moved[name].max_error,
                    sqnr_db=moved[name].sqnr_db if math.isfinite(moved[name].sqnr_db) else None,
                )
                for precision, moved in rounding.moved.items()
                if math.isfinite(moved[name].max_error)
            },
        )
    return Profile(
        outputs=outputs,
        operations=dict(rounding.operations),
        worst_case_ulps=rounding.worst_case_ulps,
        samples=sample_count(reference),
        left_out=left_out,
        computed_in=rounding.computed_in,
    )
