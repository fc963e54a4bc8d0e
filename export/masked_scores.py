"""Attention's masks in a graph with ranges: scores that share 256 steps with the -1e9 of a mask are all one score.

Keras writes a mask as a choice between the score and -1e9 (a layer with dropout) or -2.4e38 (one without), Keras's
`Attention` as a difference, and attention written by hand mostly as a sum. The quantizer gives what comes out one
scale: 4e6 to the step, so that every score is the same and the softmax is the mask's mean. The mask and the softmax
behind it stay in float: the scores keep the range of their own that their product has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

OF_ONE_SCALE = frozenset(
    ("EXPAND_DIMS", "GATHER", "MAX_POOL_2D", "RESHAPE", "SLICE", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE")
)
"""What hands a range backwards, too: out of these comes what goes in."""
_JOINING = frozenset(("ADD", "SUB", "SELECT", "SELECT_V2", "MINIMUM"))
# Measured in int8 of one attention (docs/conversion.md): scores lose 2 to 5 dB to a mask of 4 times their range, and 10
# to 15, which makes them wrong, to one of 16 times.
_COARSER = 4.0

Tensor = TypeVar("Tensor")


class RangedGraph(Protocol[Tensor]):
    """Operations that are called as in TFLite, and the ranges of the tensors between them."""

    def operations(self) -> Iterator[Any]: ...

    def kind(self, operation: Any) -> str: ...

    def made(self, operation: Any) -> Tensor:
        """The first tensor that it makes."""

    def floats_read(self, operation: Any) -> list[Tensor]:
        """Those of its inputs that have a range."""

    def maker(self, tensor: Tensor) -> Any | None: ...

    def is_constant(self, tensor: Tensor) -> bool: ...

    def width(self, tensor: Tensor) -> float:
        """How wide its range is, zero within it; 0 without one."""


def masked_scores(graph: RangedGraph[Tensor]) -> dict[Tensor, Any]:
    """Each operation that would have to keep scores and mask in one scale, and the softmax that reads it.

    By the tensor that it makes.
    """
    found: dict[Tensor, Any] = {}
    for operation in graph.operations():
        if graph.kind(operation) == "SOFTMAX":
            behind = [one for scores in graph.floats_read(operation) for one in _masking(graph, scores)]
            found.update((graph.made(one), one) for one in (*behind, *((operation,) if behind else ())))
    return found


def _masking(graph: RangedGraph[Tensor], tensor: Tensor) -> Iterator[Any]:
    """The operations between unmasked scores and this tensor, if it is masked."""
    maker = graph.maker(tensor)
    if maker is None:
        return
    read, joins = graph.floats_read(maker), graph.kind(maker) in _JOINING
    if joins:
        read = [source for source in read if not graph.is_constant(source)]
    elif graph.kind(maker) not in OF_ONE_SCALE:
        return
    behind = [one for source in read for one in _masking(graph, source)]
    if behind or (joins and any(graph.width(source) * _COARSER < graph.width(tensor) for source in read)):
        yield from (*behind, maker)
