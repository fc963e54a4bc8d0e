"""Causes in when and how a target is asked: right once and wrong later, right at one batch size only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.diagnosis.case import Case
from pipeline.parity.diagnosis import Diagnosis
from pipeline.parity.findings import DependsOnBatchMates, DependsOnClients, NotRepeated

_ALL_RIGHT = 0.99
_FEWEST_RIGHT = 0.02


def fact(case: Case) -> Diagnosis | None:
    """What depends on the call rather than on the sample, or None when no batch size has right answers to speak of."""
    right = {size: case.right_rows(size) for size in sorted(case.answers)}
    shares = {size: float(np.mean(rows)) for size, rows in right.items()}
    good = [size for size, share in shares.items() if share >= _ALL_RIGHT]
    bad = [size for size, share in shares.items() if share < _ALL_RIGHT]
    if not bad:
        return _when_asked_again(case)
    partly = [size for size in bad if shares[size] > _FEWEST_RIGHT]
    for size in partly:
        found = _pattern(right[size], size)
        if found is not None:
            return found
    if good:
        return Diagnosis(
            cause="batch_size_dependent",
            sentence=f"right at batch size {_listed(good)} and wrong at {_listed(bad)}: it depends on the batch",
            error_before=max(max(case.distances_at(size).values()) for size in bad),
            error_after=max(max(case.distances_at(size).values()) for size in good),
            tried=len(shares),
        )
    return None


def _when_asked_again(case: Case) -> Diagnosis | None:
    """What asking again has shown of a target that was right the first time."""
    for finding in case.repeats:
        match finding:
            case DependsOnClients():
                return Diagnosis(
                    cause="concurrency_dependent",
                    sentence="right when one client asks and wrong when several do at once: calls share something",
                    tried=1,
                )
            case DependsOnBatchMates():
                return Diagnosis(
                    cause="batch_mates",
                    sentence="an answer depends on the other samples of its batch, or on its place among them",
                    tried=1,
                )
            case NotRepeated():
                return Diagnosis(
                    cause="wrong_after_first_calls",
                    sentence="right the first time and wrong when asked again: the target keeps something from call to "
                    "call",
                    tried=1,
                )
            case _:
                continue
    return None


def _pattern(right: NDArray[np.bool_], size: int) -> Diagnosis | None:
    """What the wrong rows of one batch size have in common."""
    count = len(right)
    first_wrong = int(np.argmin(right))
    calls = first_wrong // size
    later_right = float(np.mean(right[first_wrong + size :])) if first_wrong + size < count else 0.0
    if calls >= 1 and first_wrong % size == 0 and later_right <= _FEWEST_RIGHT:
        if size > 1 and count - first_wrong == count % size:
            return Diagnosis(
                cause="last_batch_wrong",
                sentence=f"at batch size {size} only the last, shorter batch of {count % size} is wrong",
                tried=2,
            )
        return Diagnosis(
            cause="wrong_after_first_calls",
            sentence=f"at batch size {size} the first {calls} call{'s' if calls > 1 else ''} are right and all later "
            "ones wrong: the target keeps something from call to call",
            tried=1,
        )
    if size > 1 and count > 2 * size:
        place = np.arange(count) % size
        by_place = np.array([right[place == index].mean() for index in range(size)])
        wrong = np.flatnonzero(by_place <= _FEWEST_RIGHT)
        if 0 < len(wrong) < size and (by_place[by_place > _FEWEST_RIGHT] >= _ALL_RIGHT).all():
            return Diagnosis(
                cause="position_in_batch",
                sentence=f"at batch size {size} the samples at places {_listed(list(wrong[:6]))} of a batch are wrong, "
                "the others right",
                tried=3,
            )
    return None


def _listed(sizes: list[int]) -> str:
    return ", ".join(map(str, sizes))
