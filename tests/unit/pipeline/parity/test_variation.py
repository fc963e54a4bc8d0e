"""Agreement that would prove nothing is called inconclusive."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.parity.comparison import BatchComparison, Comparison, OutputComparison, status_of
from pipeline.parity.status import Fail, Inconclusive, Pass
from pipeline.parity.tolerances import Tolerance
from pipeline.parity.variation import VariationTally

Compared = Callable[..., OutputComparison]


def statused(*outputs: OutputComparison) -> Pass | Fail | Inconclusive:
    return status_of(Comparison(batches=(BatchComparison(batch_size=1, findings=(), outputs=outputs),)))


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def test_a_constant_reference_is_inconclusive(compared: Compared) -> None:
    """Otherwise a target that ignores its input would be proved right."""
    constant = np.full((20, 10), 0.1, np.float32)
    status = statused(compared(constant, constant))
    assert isinstance(status, Inconclusive)
    assert status.reason == (
        "scores: the reference's answers hardly vary over the samples (standard deviation 0), so the same answer to "
        "every sample would be within tolerance (atol 0.001, rtol 0.001), or nearly"
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(seed=st.integers(0, 2**16), spread=st.floats(1e-9, 1e-4))
def test_an_untrained_networks_uniform_softmax_is_inconclusive(compared: Compared, seed: int, spread: float) -> None:
    """Otherwise a model with random weights would agree with anything, as it does elsewhere."""
    want = softmax(np.random.default_rng(seed).normal(0, spread, (50, 100)))
    assert isinstance(statused(compared(want, want)), Inconclusive)


def test_a_trained_networks_answers_are_conclusive_in_every_lane(compared: Compared, tolerance: Tolerance) -> None:
    """Otherwise the tolerance of a quantized model would make every good run inconclusive."""
    want = softmax(np.random.default_rng(1).normal(0, 5, (200, 10)))
    quantized = msgspec.structs.replace(tolerance, atol=0.5, sqnr_db=15.0)
    assert statused(compared(want, want)) == Pass()
    assert statused(compared(want, want, within=quantized)) == Pass()


def test_a_small_variation_around_a_large_offset_is_inconclusive(compared: Compared) -> None:
    """Otherwise rtol times a large offset would swallow everything that the input decides."""
    want = 1000 + np.random.default_rng(1).normal(0, 0.01, (50, 3))
    assert isinstance(statused(compared(want, want)), Inconclusive)


@pytest.mark.parametrize("sign", [1, -1])
def test_what_rtol_allows_is_taken_at_the_largest_answer(compared: Compared, tolerance: Tolerance, sign: int) -> None:
    """Otherwise a constant answer that passes at the far end would count as told apart."""
    want = sign * np.linspace(900.0, 1000.0, 50).reshape(50, 1)
    within = msgspec.structs.replace(tolerance, atol=0.0, rtol=0.0265)
    assert isinstance(statused(compared(want, want, within=within)), Inconclusive)
    narrower = msgspec.structs.replace(within, rtol=0.0245)
    assert statused(compared(want, want, within=narrower)) == Pass()


def test_the_same_variation_is_conclusive_once_the_tolerance_is_below_it(
    compared: Compared, tolerance: Tolerance
) -> None:
    """Otherwise tightening the tolerance would be no way out."""
    want = 1000 + np.random.default_rng(1).normal(0, 0.01, (50, 3))
    tight = msgspec.structs.replace(tolerance, atol=1e-4, rtol=0.0)
    assert statused(compared(want, want, within=tight)) == Pass()


@pytest.mark.parametrize(
    ("mean", "floor_db", "tells"),
    [
        # Of -1 and 1 the best constant, 0, is as large as the noise: 0 dB; 6.02 dB below the floor is clear.
        (0.0, 20 * math.log10(2), True),
        (0.0, 6.0, False),
        # Of 99 ** 0.5 - 1 and 99 ** 0.5 + 1 it has 20 dB.
        (math.sqrt(99), 27.0, True),
        (math.sqrt(99), 25.0, False),
    ],
)
def test_a_floor_of_the_noise_tells_where_a_constant_answer_is_6_db_below_it(
    tolerance: Tolerance, *, mean: float, floor_db: float, tells: bool
) -> None:
    """Otherwise the floor of a quantized model would call anything told apart, or nothing."""
    tally = VariationTally()
    for answer in (mean - 1, mean + 1):
        tally.add(np.array([[answer]]))
    within = msgspec.structs.replace(tolerance, atol=10.0, rtol=0.0, sqnr_db=floor_db)
    assert (tally.vacuous(within, rmse=0.0) is None) == tells


def test_one_sample_shows_nothing_of_the_input(compared: Compared) -> None:
    """Otherwise a single sample would prove agreement."""
    comparison = compared(np.ones((1, 3)), np.ones((1, 3)))
    assert comparison.vacuous == "there is only one sample, so nothing shows that the answer depends on the input"


def test_differences_as_large_as_the_variation_are_inconclusive(compared: Compared, tolerance: Tolerance) -> None:
    """Otherwise noise as strong as the signal would pass under a loose tolerance."""
    want = np.zeros((100, 1))
    want[0] = 100.0
    loose = msgspec.structs.replace(tolerance, atol=20.0, rtol=0.0)
    comparison = compared(want, want + 15.0, within=loose)
    assert comparison.vacuous is not None
    assert comparison.vacuous.startswith("the differences (RMSE 15) are as large as the variation")


@pytest.mark.parametrize(
    ("values", "atol", "rmse", "tells"),
    [
        ((-1.0, 1.0), 0.5, 0.0, True),  # twice what is allowed
        ((-1.0, 1.0), 0.51, 0.0, False),
        ((-1.0, 1.0), 0.1, 0.5, True),  # twice the differences
        ((-1.0, 1.0), 0.1, 0.51, False),
        ((1.0, 1.0), 0.0, 0.0, False),  # nothing is allowed, and nothing varies
    ],
)
def test_twice_as_large_is_clearly_above(
    tolerance: Tolerance, *, values: tuple[float, ...], atol: float, rmse: float, tells: bool
) -> None:
    """Otherwise what is said to be conclusive would mean something else at the edge."""
    tally = VariationTally()
    tally.add(np.array(values)[:, np.newaxis])
    within = msgspec.structs.replace(tolerance, atol=atol, rtol=0.0, sqnr_db=None)
    assert (tally.vacuous(within, rmse=rmse) is None) == tells


def test_the_variation_is_that_of_each_element_over_all_blocks() -> None:
    """Otherwise the figure, and with it the doubt, would depend on how the samples are split."""
    want = np.random.default_rng(3).normal(5, 2, (9, 4)) * [1, 2, 3, 0]
    tally = VariationTally()
    for block in (want[:2], want[2:6], want[6:]):
        tally.add(block)
    assert tally.variation == pytest.approx(math.sqrt(want.var(axis=0).mean()))


@pytest.mark.parametrize("far", [997.0, 1003.0])
def test_each_element_is_held_to_its_own_range(tolerance: Tolerance, far: float) -> None:
    """Otherwise an element that never varies would borrow the range of another."""
    tally = VariationTally()
    tally.add(np.array([[1000.0, 0.0], [far, 0.0]]))
    within = msgspec.structs.replace(tolerance, atol=0.1, rtol=1e-3, sqnr_db=None)
    assert tally.vacuous(within, rmse=0.0) is not None


def test_a_constant_integer_output_is_inconclusive(compared: Compared) -> None:
    """Otherwise a predicted class that never changes would count as compared."""
    constant = np.full(20, 3, np.int64)
    assert isinstance(statused(compared(constant, constant)), Inconclusive)
    assert statused(compared(np.arange(20), np.arange(20))) == Pass()


@pytest.mark.parametrize("constant", [np.full((20, 3), 0.5, np.float32), np.full(20, 3, np.int64)])
def test_an_output_that_is_meant_to_be_constant_can_be_declared_so(
    compared: Compared, tolerance: Tolerance, constant: Any
) -> None:
    """Otherwise a model with a version output could never pass."""
    declared = msgspec.structs.replace(tolerance, constant=True)
    assert statused(compared(constant, constant, within=declared)) == Pass()
    assert isinstance(statused(compared(constant, constant + 1, within=declared)), Fail)


def test_one_vacuous_output_spoils_a_pass_and_a_finding_outweighs_it(compared: Compared) -> None:
    """Otherwise an uncompared output would hide behind another, or a difference behind a doubt."""
    varied, constant = np.arange(20.0).reshape(20, 1), np.ones((20, 1))
    fine, doubtful, wrong = compared(varied, varied), compared(constant, constant), compared(varied, -varied)
    assert isinstance(statused(fine, doubtful), Inconclusive)
    assert isinstance(statused(fine, doubtful, wrong), Fail)


def test_a_doubt_at_one_batch_size_stays_whatever_the_next_one_says_and_all_are_named(compared: Compared) -> None:
    """Otherwise the last batch size would decide alone."""
    varied, constant = np.arange(20.0).reshape(20, 1), np.ones((20, 1))
    fine, doubtful = compared(varied, varied), compared(constant, constant)
    other = msgspec.structs.replace(doubtful, output="boxes", vacuous="nothing to see")
    status = status_of(
        Comparison(
            batches=(
                BatchComparison(batch_size=1, findings=(), outputs=(doubtful, other)),
                BatchComparison(batch_size=4, findings=(), outputs=(fine,)),
            )
        )
    )
    assert status == Inconclusive(reason=f"scores: {doubtful.vacuous}; boxes: nothing to see")


def test_nothing_finite_is_inconclusive(compared: Compared) -> None:
    """Otherwise a model that answers only NaN would agree with itself everywhere."""
    nan = np.full((5, 3), np.nan)
    assert compared(nan, nan).vacuous == "none of 15 values is finite on both sides, so no value was compared"
