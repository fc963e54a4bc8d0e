"""Answers to compare, and what their comparison is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from pipeline.core.outcome import Recording
from pipeline.core.signature import Signature, Tensors
from pipeline.parity.compare import compare_recording
from pipeline.parity.comparison import OutputComparison, status_of
from pipeline.parity.figures import NumericFigures
from pipeline.parity.findings import (
    Finding,
)
from pipeline.parity.status import Fail, Inconclusive, Pass
from pipeline.parity.tolerances import Tolerance

Compared = Callable[..., OutputComparison]
Record = Callable[[Mapping[int, Tensors]], Recording]

# The fixtures are factories without state, so sharing them between examples is sound.
PROPERTY = settings(
    max_examples=min(60, settings().max_examples),  # fewer where a profile says so
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
FINITE = st.floats(-1e6, 1e6, width=32)
ANYTHING = st.floats(width=32, allow_nan=True, allow_infinity=True)
SHAPES = st.tuples(st.integers(2, 9), st.integers(1, 5))


def answers(elements: st.SearchStrategy[float]) -> st.SearchStrategy[NDArray[np.float32]]:
    return arrays.arrays(np.float32, SHAPES, elements=elements)


def ramp(samples: int = 8, elements: int = 3) -> NDArray[np.float32]:
    """Answers that differ in every element and vary over the samples."""
    return ((np.arange(samples * elements).reshape(samples, elements) - 5) / 7).astype(np.float32)


def numeric(comparison: OutputComparison) -> NumericFigures:
    assert isinstance(comparison.figures, NumericFigures)
    return comparison.figures


def kinds(comparison: OutputComparison) -> list[type[Finding]]:
    return [type(finding) for finding in comparison.findings]


def reference() -> dict[str, NDArray[Any]]:
    return {"scores": ramp(), "count": np.arange(8, dtype=np.int32)}


def statused(
    got: Mapping[int, Tensors], recording: Record, signature: Signature, tolerance: Tolerance
) -> Pass | Fail | Inconclusive:
    tolerances = dict.fromkeys(signature.output_names, tolerance)
    return status_of(compare_recording(reference(), recording(got), signature=signature, tolerances=tolerances))
