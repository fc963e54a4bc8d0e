"""What differs at some batch sizes only, and how far these are from each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.signature import Signature
from pipeline.parity.compare import compare_recording
from pipeline.parity.findings import (
    DependsOnBatchSize,
    NotEqual,
    ValuesDiffer,
)
from pipeline.parity.status import Fail
from pipeline.parity.tolerances import Tolerance
from tests.unit.pipeline.parity.answers import (
    Record,
    ramp,
    reference,
    statused,
)


def test_one_wrong_batch_size_fails_and_is_named(recording: Record, signature: Signature, tolerance: Tolerance) -> None:
    """Otherwise a fault that shows only in large batches would be averaged away."""
    wrong = reference() | {"count": np.arange(8, dtype=np.int32)[::-1]}
    worse = reference() | {"scores": ramp() + np.float32(1)}
    little = ramp()
    little[0, 0] += 1
    got = {1: reference(), 7: wrong, 16: reference() | {"scores": little}, 64: worse}
    status = statused(got, recording, signature, tolerance)
    assert isinstance(status, Fail)
    assert [(type(found.finding), found.batch_sizes, found.lesser_at) for found in status.findings] == [
        (NotEqual, (7,), ()),
        (ValuesDiffer, (64,), (16,)),
        (DependsOnBatchSize, (16, 64), ()),
        (DependsOnBatchSize, (7,), ()),
    ]


def test_how_far_batch_sizes_are_apart_is_measured(
    recording: Record, signature: Signature, tolerance: Tolerance
) -> None:
    """Otherwise nobody would see that a runtime answers differently in batches."""
    apart, odd = ramp(), ramp()
    apart[2, 2] += 0.25
    odd[1, 1] = math.nan
    tolerances = dict.fromkeys(signature.output_names, tolerance)

    def spreads(*scores: NDArray[Any]) -> dict[str, float | None]:
        got = {size: reference() | {"scores": values} for size, values in enumerate(scores, start=1)}
        comparison = compare_recording(reference(), recording(got), signature=signature, tolerances=tolerances)
        return {spread.output: spread.spread for spread in comparison.batch_spread}

    assert spreads(ramp(), apart, ramp()) == {"scores": pytest.approx(0.25), "count": 0.0}
    assert spreads(ramp(), odd) == {"scores": math.inf, "count": 0.0}
    assert spreads(odd, odd) == {"scores": 0.0, "count": 0.0}
    assert spreads(ramp(), ramp()[:, :2]) == {"scores": None, "count": 0.0}
    assert spreads(ramp()) == {}
