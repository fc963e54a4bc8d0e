"""Attention's masks in a calibrated file: scores that share 256 steps with the -1e9 of a mask are all one score.

Keras writes a mask as a choice between the score and -1e9 (a layer with dropout) or -2.4e38 (one without), Keras's
`Attention` as a difference, and attention written by hand mostly as a sum. The quantizer gives what comes out one
scale: 4e6 to the step, so that every score is the same and the softmax is the mask's mean. The mask and the softmax
behind it stay in float: the scores keep the range of their own that their product has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from export.tflite_calibrated_graph import OF_ONE_SCALE, CalibratedGraph, indices

_JOINING = frozenset(("ADD", "SUB", "SELECT", "SELECT_V2", "MINIMUM"))
# Two of eight bits: below that, what the mask takes from the scores is within what int8 does anyway.
_COARSER = 4.0


def masked_scores(graph: CalibratedGraph) -> Iterator[Any]:
    """Each operation that would have to keep scores and mask in one scale, and the softmax that reads it."""
    found: dict[int, Any] = {}
    for operation in graph.operations():
        if graph.kind(operation) == "SOFTMAX":
            behind = list(_masking(graph, int(operation.inputs[0])))
            found.update((id(one), one) for one in (*behind, *((operation,) if behind else ())))
    return iter(found.values())


def _masking(graph: CalibratedGraph, index: int) -> Iterator[Any]:
    """The operations between unmasked scores and this tensor, if it is masked."""
    maker = graph.maker(index)
    if maker is None:
        return
    read = [source for source in indices(maker.inputs) if graph.width(source)]
    if graph.kind(maker) in OF_ONE_SCALE and read:
        behind = list(_masking(graph, read[0]))
    elif graph.kind(maker) in _JOINING:
        computed = [source for source in read if not graph.is_constant(source)]
        behind = [one for source in computed for one in _masking(graph, source)]
        if not behind and any(graph.width(source) * _COARSER < graph.width(index) for source in computed):
            yield maker
    else:
        return
    if behind:
        yield from (*behind, maker)
