"""What halves do to answers that have to be equal: the file of halves beside the model's file of float32.

Needs TensorFlow, whose interpreter computes both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.tflite_in_floats import constants_of
from pipeline.core.artifact import Artifact
from pipeline.diagnosis.by_steps import NOTHING, answered, differing, failing_on_some
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.distance import worst_distance
from pipeline.parity.diagnosis import Diagnosis


def diagnosed_by_halves(case: Case, artifact: Artifact, exact: Artifact) -> Diagnosis:
    """`weights_rounded` when every constant of the file is one of `exact` as halves, and only so its answers differ."""
    samples = failing_on_some(case, artifact)
    narrow, wide = artifact.path.read_bytes(), exact.path.read_bytes()
    if samples is None or not only_rounded(constants_of(narrow), constants_of(wide)):
        return NOTHING
    inputs, want, got = samples
    batch_size = artifact.signature.fixed_batch or 1
    rounded, right = (answered(content, inputs, batch_size) for content in (narrow, wide))
    if any(
        differing(want[name], right[name], case.tolerances[name]).any()
        or differing(rounded[name], got[name], case.tolerances[name]).any()
        for name in want
    ):
        return NOTHING
    named = ", ".join(f"`{name}`" for name in want)
    return Diagnosis(
        cause="weights_rounded",
        sentence=f"{named}: every constant of the file is that of the float32 file as a half, and with those of the "
        "float32 file the answers are right: values that are cut to whole numbers, or compared, are as near as that",
        error_before=worst_distance(want, got),
        error_after=worst_distance({name: rounded[name] for name in want}, got),
        tried=2,
    )


def only_rounded(narrow: Sequence[NDArray[Any]], wide: Sequence[NDArray[Any]]) -> bool:
    """Whether each constant is one of the others, or what halves make of it."""
    with np.errstate(over="ignore"):
        halves = [one.astype(np.float16).astype(np.float32) for one in wide]
    return all(any(np.array_equal(one, other, equal_nan=True) for other in (*wide, *halves)) for one in narrow)
