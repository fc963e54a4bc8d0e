"""Causes that an artifact's own numbers show, beside the trained model's: no experiment is needed."""

from __future__ import annotations

import numpy as np

from pipeline.core.artifact import Artifact, Precision
from pipeline.core.signature import Tensors
from pipeline.diagnosis import ranges, weights
from pipeline.diagnosis.artifact_weights import held_by, in_other_orders_of_shards
from pipeline.diagnosis.graph import Graph
from pipeline.parity.diagnosis import Diagnosis

_PLAINLY_CUT = 0.9


def fact(artifact: Artifact, graph: Graph, inputs: Tensors) -> Diagnosis | None:
    """What is plain to see in the file; `graph` is the trained model on `inputs`."""
    return exchanged_shards(artifact, graph) or _rounded_weights(artifact) or _useless_ranges(artifact, graph, inputs)


def exchanged_shards(artifact: Artifact, graph: Graph) -> Diagnosis | None:
    """Weight files under one another's names: in the right order they hold just the trained model's weights."""
    if not any(one.off.any() for one in weights.compared(graph, held_by(artifact))):
        return None
    for tries, (order, held) in enumerate(in_other_orders_of_shards(artifact), start=1):
        found = weights.compared(graph, held)
        if found and not any(one.off.any() for one in found):
            return Diagnosis(
                cause="shards_swapped",
                sentence=f"the weight files are exchanged: read as {order}, all {len(found)} weights are right",
                tried=tries,
            )
    return None


def small_ranges(artifact: Artifact, graph: Graph, inputs: Tensors) -> list[ranges.Range]:
    """The quantized ranges that cut off what the trained model has there, the worst first."""
    return sorted(ranges.too_small(graph, ranges.of_artifact(artifact), inputs), key=lambda one: -one.share_cut)


def says_of_ranges(found: list[ranges.Range]) -> str:
    """What is wrong with them, in words."""
    worst = found[0]
    return (
        f"the quantized range of `{worst.name}` is {worst.low:.3g} to {worst.high:.3g}, which cuts off "
        f"{worst.share_cut:.0%} of its values (and {len(found) - 1} more): the representative data were not like these"
    )


def _rounded_weights(artifact: Artifact) -> Diagnosis | None:
    """A file with rounded weights that goes by the name of an exact one."""
    if artifact.precision is not Precision.FLOAT32:
        return None
    rounded = [one for one in held_by(artifact) if np.any(np.asarray(one.step) > 0)]
    if not rounded:
        return None
    return Diagnosis(
        cause="quantized_weights",
        sentence=f"{artifact.path.name} should hold float32, but {len(rounded)} of its weights are rounded: it is "
        "another precision's file",
        tried=1,
    )


def _useless_ranges(artifact: Artifact, graph: Graph, inputs: Tensors) -> Diagnosis | None:
    """Ranges that leave hardly anything: what integers then answer, no experiment in floats shows."""
    found = small_ranges(artifact, graph, inputs)
    if not found or found[0].share_cut < _PLAINLY_CUT:
        return None
    return Diagnosis(cause="range_too_small", sentence=says_of_ranges(found), tried=1)
