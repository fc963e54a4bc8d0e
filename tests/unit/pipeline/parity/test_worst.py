"""Which samples are kept as the worst, and which of their elements."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.parity.comparison import OutputComparison
from pipeline.parity.worst import WorstSamples

Compared = Callable[..., OutputComparison]


def test_the_six_worst_are_kept_in_order_and_of_equal_ones_the_first(compared: Compared) -> None:
    """Otherwise the report would show samples that are not the worst, or others at each run."""
    want = np.arange(40.0).reshape(20, 2)
    errors = np.array([0, 3, 1, 5, 5, 0, 9, 1, 2, 5] + [0] * 10, float)
    rtol_free = np.zeros_like(want)
    comparison = compared(rtol_free, rtol_free + errors[:, np.newaxis])
    assert [sample.sample for sample in comparison.worst_samples] == [6, 3, 4, 9, 1, 8]
    split = compared(rtol_free, rtol_free + errors[:, np.newaxis], chunks=(4, 1, 8))
    assert split.worst_samples == comparison.worst_samples


def test_a_small_answer_is_kept_whole(compared: Compared) -> None:
    """Otherwise the bars of a classifier would have gaps."""
    want = np.random.default_rng(0).random((3, 4, 4))
    sample = compared(want, want + 1).worst_samples[0]
    assert sample.complete
    assert [answer.place for answer in sample.answers] == [(row, column) for row in range(4) for column in range(4)]


def test_of_a_large_answer_the_places_that_matter_are_kept(compared: Compared) -> None:
    """Otherwise the place that differs could be missing from what is shown of it."""
    want = np.random.default_rng(0).random((3, 1000))
    want[1, 700], got = 5.0, want.copy()
    got[1, [3, 800]] = (np.nan, 7.0)
    sample = compared(want, got).worst_samples[0]
    places = {answer.place[0] for answer in sample.answers}
    assert (sample.sample, sample.complete, len(sample.answers)) == (1, False, 16)
    assert {3, 700, 800} <= places
    assert next(answer.got for answer in sample.answers if answer.place == (3,)) == "NaN"


def test_of_a_large_exact_answer_only_differences_are_kept(compared: Compared) -> None:
    """Otherwise one changed token among a thousand would not be shown."""
    want = np.arange(2000).reshape(2, 1000)
    got = want.copy()
    got[0, 17] = -1
    assert 17 in {answer.place[0] for answer in compared(want, got).worst_samples[0].answers}
    text = want.astype(str)
    changed = text.copy()
    changed[1, 5] = "other"
    sample = compared(text, changed).worst_samples[0]
    assert [(answer.place, answer.want, answer.got) for answer in sample.answers] == [((5,), "1005", "other")]


def test_sixteen_elements_are_a_small_answer_of_any_kind(compared: Compared) -> None:
    """Otherwise what surrounds a changed word would be missing where there is room for it."""
    want = np.arange(32).reshape(2, 16).astype(str)
    got = want.copy()
    got[0, 5] = "other"
    sample = compared(want, got).worst_samples[0]
    assert sample.complete
    assert [answer.place for answer in sample.answers] == [(at,) for at in range(16)]


def test_of_a_large_mask_only_differences_are_kept(compared: Compared) -> None:
    """Otherwise fourteen places that agree would stand around the two that do not."""
    want = np.zeros((2, 1000), bool)
    want[1] = True
    got = want.copy()
    got[0, [17, 400]] = True
    assert [answer.place for answer in compared(want, got).worst_samples[0].answers] == [(17,), (400,)]


def test_of_places_that_are_equally_wrong_the_last_are_kept_in_every_run(compared: Compared) -> None:
    """Otherwise two reports of the same answers would differ."""
    want = np.tile(np.arange(1000) % 2, (2, 1)).astype(np.float64)
    places = [answer.place[0] for answer in compared(want, want + 1).worst_samples[0].answers]
    # The last ones by difference, and the last odd ones by value.
    assert places == sorted({*range(990, 1000), *range(979, 990, 2)})


def test_those_kept_are_the_first_of_all_however_they_come() -> None:
    """Otherwise a sample of an early block could hide a worse one of a later block, or stay where it is not."""
    rng = np.random.default_rng(0)
    for block in (1, 3, 40, 200):
        used = rng.choice([0.0, 0.25, 0.5, 2.0, 7.0], 200)
        worst = WorstSamples(5)
        for start in range(0, 200, block):
            part = used[start : start + block]
            worst.add(part, np.zeros((len(part), 1)), np.ones((len(part), 1)))
        order = sorted(np.flatnonzero(used).tolist(), key=lambda at: (-used[at], at))[:5]
        assert [(one.sample, one.tolerance_used) for one in worst.found()] == [(at, float(used[at])) for at in order]
    few = WorstSamples(5)
    few.add(np.array([0.0, 0.25, 0.5]), np.zeros((3, 1)), np.ones((3, 1)))
    assert [(one.sample, one.tolerance_used) for one in few.found()] == [(2, 0.5), (1, 0.25)]
