"""Causes of NaN and infinities where the reference has numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.diagnosis.case import Case
from pipeline.parity.diagnosis import Diagnosis

_LARGEST_FLOAT16 = 65504.0


def fact(case: Case) -> Diagnosis | None:
    """What the places of the non-finite values tell, or None when there are none that the reference lacks."""
    for name, want in case.want.items():
        got = case.got.get(name)
        if got is None or got.shape != want.shape or want.dtype.kind != "f" or got.dtype.kind != "f":
            continue
        odd = ~np.isfinite(got) & np.isfinite(want)
        if odd.any():
            return _where(name, want, got, odd)
    return None


def _where(name: str, want: NDArray[Any], got: NDArray[Any], odd: NDArray[np.bool_]) -> Diagnosis:
    called = "NaN" if np.isnan(got[odd]).any() else "infinite"
    beyond = np.abs(want) > _LARGEST_FLOAT16
    if beyond.any() and np.array_equal(odd, beyond):
        return Diagnosis(
            cause="overflow_float16",
            sentence=f"`{name}`: {called} just where the reference exceeds 65504, the largest float16: "
            "it overflows half precision",
            error_before=np.inf,
            error_after=0.0,
            tried=1,
        )
    rows = odd.reshape(len(odd), -1)
    if rows.any(axis=1).all() and (rows == rows[:1]).all():
        which = "" if rows.all() else f" at {rows[0].sum()} of {rows.shape[1]} elements of each answer"
        return Diagnosis(
            cause="non_finite_weights",
            sentence=f"`{name}`: {called} whatever the input{which}: a weight or a constant is not finite",
            tried=2,
        )
    share = rows.any(axis=1).mean()
    return Diagnosis(
        cause="overflow",
        sentence=f"`{name}`: {called} for {share:.0%} of the samples and not for others: "
        "a value on the way exceeds what its type can hold",
        tried=3,
    )
