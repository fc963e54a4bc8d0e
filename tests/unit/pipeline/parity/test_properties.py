"""What must hold of the comparator for any answers at all: order, batches, errors and NaN."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from pipeline.core.outcome import Recording, Repeat
from pipeline.core.signature import Signature
from pipeline.core.target import RuntimeInfo
from pipeline.parity.compare import compare_recording
from pipeline.parity.comparison import OutputComparison, status_of
from pipeline.parity.figures import ScoreFigures
from pipeline.parity.intervals import mcnemar, paired_difference, paired_ratio, wilson
from pipeline.parity.status import Pass
from pipeline.parity.tolerances import Tolerance
from pipeline.parity.ulps import UlpTally
from tests.unit.pipeline.parity.answers import ANYTHING, FINITE, PROPERTY, Compared, numeric

SHAPES = st.tuples(st.integers(2, 9), st.integers(2, 5))


def pairs(elements: st.SearchStrategy[float]) -> st.SearchStrategy[tuple[NDArray[Any], NDArray[Any]]]:
    return SHAPES.flatmap(
        lambda shape: st.tuples(
            arrays.arrays(np.float32, shape, elements=elements), arrays.arrays(np.float32, shape, elements=elements)
        )
    )


def scored(comparison: OutputComparison) -> ScoreFigures:
    assert comparison.scores is not None
    return comparison.scores


def without_places(comparison: OutputComparison) -> bytes:
    """All that does not say where; as JSON, where NaN equals itself."""
    figures = msgspec.structs.replace(numeric(comparison), worst=None, variation=0.0)
    scores = comparison.scores
    if scores is not None:
        divergence = scores.divergence and msgspec.structs.replace(scores.divergence, js_worst=0)
        scores = msgspec.structs.replace(scores, flips=(), divergence=divergence)
    kept = msgspec.structs.replace(
        comparison, figures=figures, scores=scores, worst_samples=(), findings=(), vacuous=None
    )
    return msgspec.json.encode((kept, sorted(type(finding).__name__ for finding in comparison.findings)))


@PROPERTY
@given(both=pairs(FINITE), data=st.data())
def test_the_order_of_the_samples_changes_no_figure(
    compared: Compared, both: tuple[NDArray[Any], NDArray[Any]], data: st.DataObject
) -> None:
    """Otherwise shuffling the test split could change a verdict."""
    want, got = both
    order = data.draw(st.permutations(range(len(want))))
    labels = np.arange(len(want)) % want.shape[1]
    # Not distributions: which sample the reason names depends on the order.
    one = compared(np.abs(want) - 1e7, got, labels=labels, scores=True)
    other = compared((np.abs(want) - 1e7)[order], got[order], labels=labels[order], scores=True)
    reasons = [msgspec.structs.replace(scored(side), no_divergence=None) for side in (one, other)]
    one, other = (
        msgspec.structs.replace(side, scores=scores) for side, scores in zip((one, other), reasons, strict=True)
    )
    assert without_places(one) == without_places(other)


@PROPERTY
@given(both=pairs(FINITE))
def test_what_has_no_side_is_the_same_from_both(compared: Compared, both: tuple[NDArray[Any], NDArray[Any]]) -> None:
    """Otherwise a distance would depend on who is called the reference."""
    want, got = both
    one, other = numeric(compared(want, got)), numeric(compared(got, want))
    assert one.ulps == other.ulps
    assert (one.max_error, one.quantiles, one.histogram) == (other.max_error, other.quantiles, other.histogram)


@PROPERTY
@given(shape=SHAPES, seed=st.integers(0, 2**32 - 1))
def test_divergence_of_distributions_is_bounded_and_js_has_no_side(
    compared: Compared, shape: tuple[int, int], seed: int
) -> None:
    """Otherwise two sides of the same comparison would differ in how different they are."""
    rng = np.random.default_rng(seed)
    want, got = (rng.dirichlet(np.ones(shape[1]), shape[0]) for _ in range(2))
    one, other = (scored(compared(*sides, scores=True)).divergence for sides in ((want, got), (got, want)))
    same = scored(compared(want, want, scores=True)).divergence
    assert one is not None
    assert other is not None
    assert same is not None
    assert 0 <= one.js_mean <= one.js_max <= math.log(2) + 1e-12
    assert math.isclose(one.js_max, other.js_max, rel_tol=1e-9, abs_tol=1e-15)
    assert one.js_max <= one.kl_max or math.isclose(one.js_max, one.kl_max, rel_tol=1e-9)
    assert (same.js_max, same.kl_max) == (0.0, 0.0)


@PROPERTY
@given(both=pairs(ANYTHING), rows=st.integers(0, 8))
def test_nothing_passes_in_which_nan_comes_or_goes(
    both: tuple[NDArray[Any], NDArray[Any]], rows: int, signature: Signature
) -> None:
    """Otherwise a target could answer NaN, at first or when asked again, and agree."""
    want, got = both
    if np.array_equal(np.isnan(want), np.isnan(got)):
        return
    loosest = Tolerance(atol=1e300, rtol=1e300, constant=True, reason="for the test", source="the test")
    only = Signature(name="s", inputs=signature.inputs, outputs=signature.outputs[:1])

    def status(first: NDArray[Any], later: NDArray[Any]) -> object:
        recording = Recording(
            info=RuntimeInfo(runtime="fake", version="1"),
            outputs={1: {"scores": first}},
            milliseconds_per_sample={1: 1.0},
            repeats=(Repeat(kind="again", batch_size=1, rows=np.arange(len(later)), outputs={"scores": later}),),
        )
        return status_of(compare_recording({"scores": want}, recording, signature=only, tolerances={"scores": loosest}))

    assert not isinstance(status(got, got), Pass)
    assert not isinstance(status(want, got), Pass)


@PROPERTY
@given(want=arrays.arrays(np.float32, SHAPES, elements=FINITE), times=st.integers(1, 200), more=st.integers(1, 200))
def test_more_steps_away_is_never_fewer_ulps(want: NDArray[np.float32], times: int, more: int) -> None:
    """Otherwise a larger rounding could look like a smaller one."""
    magnitudes = np.abs(want) + np.float32(1)

    def away(steps: int) -> int:
        got = (magnitudes.view(np.int32) + steps).view(np.float32)
        tally = UlpTally(got.dtype)
        tally.add(magnitudes, got, None)
        found = tally.figures()
        assert found is not None
        return found.largest

    assert away(times) == times
    assert away(times + more) > away(times)


@PROPERTY
@given(of=st.integers(1, 5000), data=st.data())
def test_intervals_hold_what_they_are_about_and_shrink_with_more_samples(of: int, data: st.DataObject) -> None:
    """Otherwise an interval could exclude the very share that it is given with."""
    right = data.draw(st.integers(0, of))
    share = wilson(right, of)
    assert 0 <= share.low <= right / of <= share.high <= 1
    more = wilson(10 * right, 10 * of)
    assert more.high - more.low < share.high - share.low
    lost, won = data.draw(st.integers(0, of)), data.draw(st.integers(0, of))
    total = lost + won + of
    difference = paired_difference(lost, won, total)
    assert difference.low <= (won - lost) / (total + 2) <= difference.high
    mirrored = paired_difference(won, lost, total)
    assert math.isclose(mirrored.low, -difference.high, abs_tol=1e-12)
    ratio = paired_ratio(of, lost, won)
    assert ratio is not None
    assert ratio.low <= (of + won) / (of + lost) <= ratio.high
    assert 0 <= mcnemar(lost, won) <= 1
    assert mcnemar(lost, won) == mcnemar(won, lost)
