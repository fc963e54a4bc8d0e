"""Causes in what the answers are called, how many there are, and their dtypes: outputs renamed, missing, swapped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.wording import quoted
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.distance import distance
from pipeline.diagnosis.rule import Freedom, Trial
from pipeline.diagnosis.values import fitted_line
from pipeline.parity.diagnosis import Diagnosis

_PERMUTED_TOGETHER = 5
_NAMES_THE_SAME_BELOW = 0.1


def fact(case: Case) -> Diagnosis | None:
    """What is plain to see in names and dtypes, or None."""
    missing = [name for name in case.want if name not in case.got]
    extra = [name for name in case.got if name not in case.want]
    if missing and extra:
        return _renamed(case, missing, extra)
    if missing:
        return Diagnosis(
            cause="output_missing", sentence=f"the target has no output {quoted(missing)}: it was cut off or pruned"
        )
    if extra:
        return Diagnosis(cause="output_extra", sentence=f"the target also answers {quoted(extra)}")
    for name, want in case.want.items():
        got = case.got[name]
        if got.dtype != want.dtype and want.dtype.kind not in "OSU" and got.shape == want.shape:
            return _dtype_changed(name, want, got)
    return None


def swapped(case: Case) -> Iterator[Trial]:
    """Outputs under one another's names."""
    names = tuple(case.differing)
    if not 2 <= len(names) <= _PERMUTED_TOGETHER:
        return
    for order in itertools.permutations(names):
        shapes_fit = all(
            case.got[source].shape == case.want[name].shape for name, source in zip(names, order, strict=True)
        )
        if shapes_fit and order != names:
            pairs = {name: source for name, source in zip(names, order, strict=True) if name != source}
            says = ", ".join(f"`{name}` carries `{source}`" for source, name in pairs.items())
            yield Trial(
                cause="outputs_swapped",
                sentence=f"outputs are swapped: {says}",
                want={name: case.want[name] for name in pairs},
                got={name: case.got[source] for name, source in pairs.items()},
                freedom=Freedom.ONE_OF_FEW,
            )


def _renamed(case: Case, missing: list[str], extra: list[str]) -> Diagnosis:
    found = {name: min(extra, key=lambda other: distance(case.want[name], case.got[other])) for name in missing}
    error = max(distance(case.want[name], case.got[other]) for name, other in found.items())
    says = ", ".join(f"`{name}` is called `{other}`" for name, other in found.items())
    if error < _NAMES_THE_SAME_BELOW and len(set(found.values())) == len(missing):
        return Diagnosis(
            cause="outputs_renamed",
            sentence=f"the values are right under other names: {says}",
            error_before=np.inf,
            error_after=error,
            tried=len(missing) * len(extra),
        )
    return Diagnosis(
        cause="other_signature",
        sentence=f"the target answers {quoted(extra)} instead of {quoted(missing)}, and other values: "
        "it has another model's signature",
        error_before=np.inf,
        error_after=error,
        tried=len(missing) * len(extra),
    )


def _dtype_changed(name: str, want: NDArray[Any], got: NDArray[Any]) -> Diagnosis:
    facts = f"`{name}` is {got.dtype} instead of {want.dtype}"
    if want.dtype.kind == "f" and got.dtype.kind in "iu":
        scale, offset, error = fitted_line(want, got)
        truncated = distance(np.trunc(want), got)
        if truncated < 1e-6:
            return Diagnosis(
                cause="dtype_changed",
                sentence=f"{facts}: the values were truncated to integers",
                error_before=distance(want, got),
                error_after=truncated,
                tried=2,
            )
        if error < _NAMES_THE_SAME_BELOW and scale not in (0.0, 1.0):
            return Diagnosis(
                cause="quantized_codes",
                sentence=f"{facts}: these are raw quantized codes; a value is (code - {offset:.4g}) x {1 / scale:.4g}",
                error_before=distance(want, got),
                error_after=error,
                tried=2,
            )
    return Diagnosis(cause="dtype_changed", sentence=facts, error_before=distance(want, got), error_after=None, tried=1)
