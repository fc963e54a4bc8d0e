"""Where a graph masks attention's scores, which a quantized file leaves in float (`export/tflite_masked_scores.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

_HANDING_ON = frozenset(
    ("Reshape", "Transpose", "ExpandDims", "Squeeze", "Cast", "StridedSlice", "Tile", "BroadcastTo")
)
_SUMS = frozenset(("Add", "AddV2", "Sub"))
_CHOICES = frozenset(("Select", "SelectV2"))
# Scores do not reach so far: the exponential of float32 ends at 104 below the largest.
_FAR = 1000.0
_DEEP = 6


def masking(graph: Any, maker_of: Callable[[str], Any | None]) -> Iterator[tuple[Any, list[int]]]:
    """Each operation from unmasked scores to their softmax, with the positions at which it reads such scores."""
    for node in graph.node:
        if node.op == "Softmax":
            behind = list(_joins(node.input[0], maker_of))
            yield from behind
            if behind:
                yield node, []


def _joins(source: str, maker_of: Callable[[str], Any | None]) -> Iterator[tuple[Any, list[int]]]:
    node = maker_of(source)
    if node is None:
        return
    if node.op in _HANDING_ON:
        yield from _joins(node.input[0], maker_of)
    elif node.op in _SUMS | _CHOICES:
        given = [
            at
            for at, name in enumerate(node.input)
            if not name.startswith("^") and not (at == 0 and node.op in _CHOICES)
        ]
        near = [at for at in given if not _is_far(node.input[at], maker_of, _DEEP)]
        deeper = {at: found for at in given if (found := list(_joins(node.input[at], maker_of)))}
        if len(near) < len(given) or deeper:
            yield node, [at for at in near if at not in deeper]
            for found in deeper.values():
                yield from found


def _is_far(source: str, maker_of: Callable[[str], Any | None], deep: int) -> bool:
    """Whether this is a constant beyond all scores, or a product with one."""
    import tensorflow as tf

    node = maker_of(source)
    if node is None or deep == 0:
        return False
    if node.op == "Const":
        value = np.asarray(tf.make_ndarray(node.attr["value"].tensor))
        return value.dtype.kind == "f" and bool(np.abs(value).max(initial=0.0) >= _FAR)
    if node.op == "Mul":
        return any(_is_far(name, maker_of, deep - 1) for name in node.input if not name.startswith("^"))
    return node.op in _HANDING_ON and _is_far(node.input[0], maker_of, deep - 1)
