"""In which range made-up inputs make a model answer differently: nobody says of a model what its inputs lie between."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
_REFUSED = -1.0


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The range of each input, and a sentence about why where it is not the usual one; empty otherwise.

    `calm` is false where rounding alone changes the answers in this range and in all others.
    """

    ranges: Mapping[str, Range]
    why: str
    calm: bool = True


def chosen(
    ranges: Mapping[str, Range],
    open_to: Sequence[str],
    answers: Callable[[Mapping[str, Range]], Tensors],
    *,
    calm: Callable[[Mapping[str, Range]], bool],
) -> Chosen:
    """The ranges as they are where the answers vary enough, else the first of `USUAL` for the inputs `open_to`.

    `answers` asks the model for samples from such ranges, or raises: then that range is none, and another is taken if
    there is one. `calm` says of a range whether the model's answers there are more than grown rounding errors; one that
    is not is passed over. Where no range makes the answers vary enough, the one in which they vary most is taken, if
    that is clearly more.
    """
    first = _variation(ranges, answers)
    if first is None or (first == _REFUSED and not open_to):
        return Chosen(ranges=ranges, why="")
    usual_is_calm = first == _REFUSED or calm(ranges)
    if not open_to or (first >= ENOUGH and usual_is_calm):
        return Chosen(ranges=ranges, why="", calm=usual_is_calm)
    tried: dict[Range, float] = {}
    wild: list[Range] = []
    own = {ranges[name] for name in open_to}
    more_than = first if first == _REFUSED else CLEARLY * first if usual_is_calm else 0.0
    for candidate in USUAL:
        if own != {candidate}:
            there = {**ranges, **dict.fromkeys(open_to, candidate)}
            variation = _variation(there, answers)
            found = ENOUGH if variation is None else variation
            if found > more_than and not calm(there):
                wild.append(candidate)
                continue
            tried[candidate] = found
            if found >= ENOUGH:
                break
    best = max(tried, key=tried.__getitem__, default=None)
    if best is None or tried[best] <= more_than:
        return _kept(ranges, first, wild, calm=usual_is_calm)
    return Chosen(
        ranges={**ranges, **dict.fromkeys(open_to, best)},
        why=f"this range was chosen because {_reason(first, tried[best], _shown(own), calm=usual_is_calm)}"
        + _passed_over(wild),
    )


def _reason(first: float, found: float, before: str, *, calm: bool) -> str:
    if first == _REFUSED:
        return f"the model refuses {before}"
    if not calm:
        return f"rounding alone changes the answers in {before}"
    return f"the answers vary by {found:.0%} in it, by {first:.1%} in {before}"


def _kept(ranges: Mapping[str, Range], first: float, wild: Sequence[Range], *, calm: bool) -> Chosen:
    if not calm:
        return Chosen(ranges=ranges, why="rounding alone changes the answers, in other usual ranges, too", calm=False)
    if first == _REFUSED:
        return Chosen(ranges=ranges, why="the model refuses this range, and other usual ones, too")
    why = f"the answers vary by {first:.1%} only, and no more in other usual ranges"
    return Chosen(ranges=ranges, why=why + _passed_over(wild))


def _passed_over(wild: Sequence[Range]) -> str:
    return f"; {_shown(wild)} passed over, where rounding alone changes the answers" if wild else ""


def _shown(ranges: Collection[Range]) -> str:
    return ", ".join(f"{low:g} to {high:g}" for low, high in sorted(ranges))


def _variation(ranges: Mapping[str, Range], answers: Callable[[Mapping[str, Range]], Tensors]) -> float | None:
    """How much the answers vary, None for answers that are no floating point numbers."""
    try:
        given = answers(ranges)
    except Exception:  # noqa: BLE001  # whatever a model raises: it says that these values are none for it
        return _REFUSED
    shares = [_share(array) for array in given.values() if array.dtype.kind == "f"]
    return float(np.mean(shares)) if shares else None


def _share(array: NDArray[np.floating]) -> float:
    """RMS of the distance from the mean answer, as a share of the answers' RMS; 0 where an answer is not finite."""
    rows = array.astype(np.float64)
    energy = float(np.square(rows).sum())
    if not np.isfinite(energy) or energy == 0:
        return 0.0
    return float(np.sqrt(np.square(rows - rows.mean(axis=0)).sum() / energy))
