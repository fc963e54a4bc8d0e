"""In which range made-up inputs make a model answer differently: nobody says of a model what its inputs lie between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors

Range = tuple[float, float]

USUAL: tuple[Range, ...] = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-10.0, 10.0), (-128.0, 127.0))
"""What inputs of networks mostly lie between: shares, standardized numbers, bytes, logarithms, signed bytes."""

ENOUGH = 0.2
"""The share of the answers' RMS that has to be variation. A constant answer then has an SQNR of 14 dB at most, and is
told apart from int8, of which 20 dB are asked."""

CLEARLY = 2.0


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The range of each input, and a sentence about why where it is not the usual one; empty otherwise."""

    ranges: Mapping[str, Range]
    why: str


def chosen(
    ranges: Mapping[str, Range], open_to: Sequence[str], answers: Callable[[Mapping[str, Range]], Tensors]
) -> Chosen:
    """The ranges as they are where the answers vary enough, else the first of `USUAL` for the inputs `open_to`.

    `answers` asks the model for samples from such ranges, or raises: then that range is none. Where no range makes the
    answers vary enough, the one in which they vary most is taken, if that is clearly more.
    """
    first = _variation(ranges, answers)
    if not open_to or first is None or first >= ENOUGH:
        return Chosen(ranges=ranges, why="")
    tried: dict[Range, float] = {}
    own = {ranges[name] for name in open_to}
    for candidate in USUAL:
        if own != {candidate}:
            found = _variation({**ranges, **dict.fromkeys(open_to, candidate)}, answers)
            tried[candidate] = -1.0 if found is None else found
            if tried[candidate] >= ENOUGH:
                break
    best = max(tried, key=tried.__getitem__)
    if tried[best] <= CLEARLY * first:
        return Chosen(ranges=ranges, why=f"the answers vary by {first:.1%} only, and no more in other usual ranges")
    before = ", ".join(sorted(f"{low:g} to {high:g}" for low, high in own))
    return Chosen(
        ranges={**ranges, **dict.fromkeys(open_to, best)},
        why=f"this range was chosen because the answers vary by {tried[best]:.0%} in it, by {first:.1%} in {before}",
    )


def _variation(ranges: Mapping[str, Range], answers: Callable[[Mapping[str, Range]], Tensors]) -> float | None:
    try:
        given = answers(ranges)
    except Exception:  # noqa: BLE001  # whatever a model raises: it says that these values are none for it
        return None
    shares = [_share(array) for array in given.values() if array.dtype.kind == "f"]
    return float(np.mean(shares)) if shares else None


def _share(array: NDArray[np.floating]) -> float:
    """RMS of the distance from the mean answer, as a share of the answers' RMS; 0 where an answer is not finite."""
    rows = array.astype(np.float64)
    energy = float(np.square(rows).sum())
    if not np.isfinite(energy) or energy == 0:
        return 0.0
    return float(np.sqrt(np.square(rows - rows.mean(axis=0)).sum() / energy))
