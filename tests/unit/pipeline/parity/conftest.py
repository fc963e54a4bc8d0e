"""What the parity tests share: a loose way to compare two arrays, and recordings made of plain arrays."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings
from numpy.typing import NDArray

from pipeline.core.outcome import Recording
from pipeline.core.signature import Signature, Tensors, TensorSpec
from pipeline.core.target import RuntimeInfo
from pipeline.parity.compare import OutputComparer
from pipeline.parity.comparison import OutputComparison
from pipeline.parity.tolerances import Tolerance

Compared = Callable[..., OutputComparison]

# For `make mutate`: whether a fault shows is asked a thousand times, the smallest example of it is not.
settings.register_profile("mutate", max_examples=20, phases=(Phase.explicit, Phase.generate), database=None)


@pytest.fixture
def tolerance() -> Tolerance:
    """Bounds of 1e-3, every sample's best class the same, no other bound."""
    return Tolerance(atol=1e-3, rtol=1e-3, top1=1.0, accuracy_drop=0.0, reason="for the test", source="the test")


@pytest.fixture
def compared(tolerance: Tolerance) -> Compared:
    """Compare two arrays as the output `scores`, fed in chunks of the given sizes, by default in one."""

    def compare(
        want: NDArray[Any],
        got: NDArray[Any],
        *,
        chunks: tuple[int, ...] = (),
        labels: NDArray[Any] | None = None,
        scores: bool = False,
        within: Tolerance = tolerance,
    ) -> OutputComparison:
        comparer = OutputComparer("scores", within, scores=scores)
        edges = [0, *np.cumsum(chunks), max(len(want), len(got))]
        for start, stop in itertools.pairwise(edges):
            part = slice(int(start), int(stop))
            comparer.feed(want[part], got[part], None if labels is None else labels[part])
        return comparer.finish()

    return compare


@pytest.fixture
def recording() -> Callable[[Mapping[int, Tensors]], Recording]:
    """A recording of the outputs by batch size, as a runtime called `fake` would have answered them."""

    def make(outputs: Mapping[int, Tensors]) -> Recording:
        return Recording(
            info=RuntimeInfo(runtime="fake", version="1.0", details={"threads": "1"}),
            outputs=outputs,
            milliseconds_per_sample=dict.fromkeys(outputs, 0.25),
        )

    return make


@pytest.fixture
def signature() -> Signature:
    """`image` [batch, 2] to `scores` [batch, 3] and `count` [batch]."""
    return Signature(
        name="serving_default",
        inputs=(TensorSpec(name="image", dtype="float32", shape=(None, 2)),),
        outputs=(
            TensorSpec(name="scores", dtype="float32", shape=(None, 3)),
            TensorSpec(name="count", dtype="int32", shape=(None,)),
        ),
    )
