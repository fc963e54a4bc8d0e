"""Does the reference answer the same when it is asked again? What does not cannot be compared with anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors, sample_count

Ask = Callable[[Tensors, int | None], Tensors]

_SMALL_BATCH = 3
_ROWS_ASKED_AGAIN = 9
# Batches of another size add in another order: a hundred float32 epsilons, relative to the output's own scale.
_NEAR_TIES = 0.1
_ROUNDING = {2: 0.05, 4: 1e-4, 8: 1e-8}


def unrepeatable_outputs(samples: Tensors, answers: Tensors, ask: Ask, *, batch: int | None) -> dict[str, str]:
    """By output name, in a sentence, why its answers are no reference; empty for a model that repeats itself.

    `ask` takes samples and a batch size, None for the usual one. The same question is asked a second time, for models
    that are random or remember; and some samples in small batches, unless `batch` is fixed, for models that let the
    samples of a batch influence each other.
    """
    found: dict[str, str] = {}
    again = ask(samples, None)
    for name, first in answers.items():
        difference = _largest_difference(first, again[name])
        if difference is not None:
            found[name] = (
                f"the model itself answers otherwise when it is asked the same again (by up to {difference:.3g}): "
                "it is random by design, or remembers what it was asked before"
            )
    if batch is None and not found:
        rows = slice(0, min(_ROWS_ASKED_AGAIN, sample_count(samples)))
        few = ask({name: array[rows] for name, array in samples.items()}, _SMALL_BATCH)
        for name, first in answers.items():
            difference = _largest_difference(first[rows], few[name], rounding=True)
            if difference is not None:
                found[name] = (
                    f"the model answers a sample otherwise in a batch with others (by up to {difference:.3g}): its "
                    "samples influence each other"
                )
    return found


def rounding_grows(samples: Tensors, ask: Ask) -> bool:
    """Whether a sample asked alone is answered otherwise than in a batch, beyond what rounding may change.

    Batches of another size add in another order: what a model makes of that, it makes of any runtime's rounding. `ask`
    is as in `unrepeatable_outputs`. False for a model that does not repeat itself: there it is not the rounding.
    """
    together, again = ask(samples, None), ask(samples, None)
    if any(_largest_difference(array, again[name]) is not None for name, array in together.items()):
        return False
    alone = ask(samples, 1)
    return any(
        _largest_difference(array, alone[name], rounding=True) is not None
        for name, array in together.items()
        if array.dtype.kind in "fc"
    )


def _largest_difference(first: NDArray[Any], second: NDArray[Any], *, rounding: bool = False) -> float | None:
    """None when they are the same: bit by bit, or up to rounding."""
    if first.shape != second.shape:
        return float("inf")
    if first.dtype.kind not in "fc":
        changed = float(np.mean(first != second)) if first.size else 0.0
        # The best of two classes that are almost alike may change with the rounding of their scores.
        return None if changed <= (_NEAR_TIES if rounding else 0.0) else changed
    if np.array_equal(first, second, equal_nan=True):
        return None
    wide = np.complex128 if first.dtype.kind == "c" else np.float64
    difference = np.abs(first.astype(wide) - second.astype(wide))
    largest = float(np.nanmax(difference, initial=0.0))
    finite = np.abs(first[np.isfinite(first)])
    scale = float(finite.max(initial=0.0))
    # Threads may add in another order each time, too.
    allowed = _ROUNDING.get(first.dtype.itemsize, 1e-4) * (1.0 if rounding else 0.1) * max(scale, 1e-30)
    same_gaps = np.array_equal(np.isfinite(first), np.isfinite(second))
    return None if same_gaps and largest <= allowed else largest
