"""The range of made-up samples: the usual one while it tells something, else one in which the answers vary."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from pipeline.core.signature import Tensors
from pipeline.samples.choosing import Range, chosen

USUAL = {"x": (-1.0, 1.0)}


def model(
    function: Callable[[np.ndarray[tuple[int], np.dtype[np.float64]]], object],
) -> Callable[[Mapping[str, Range]], Tensors]:
    """A model of one number, asked for five samples spread over the range."""

    def answers(ranges: Mapping[str, Range]) -> Tensors:
        return {"y": np.asarray(function(np.linspace(*ranges["x"], 5)), np.float32)[:, None]}

    return answers


def always(ranges: Mapping[str, Range]) -> bool:
    del ranges
    return True


def up_to(largest: float) -> Callable[[Mapping[str, Range]], bool]:
    """Calm in ranges that do not go beyond this."""
    return lambda ranges: ranges["x"][1] <= largest


def test_the_usual_range_stays_where_the_answers_vary() -> None:
    """Larger inputs make most answers vary more: for that alone nobody wants others than the documented ones."""
    assert chosen(USUAL, ["x"], model(lambda x: x * x + 0.5), calm=always).ranges == USUAL
    assert chosen(USUAL, ["x"], model(lambda x: x * x + 0.5), calm=always).why == ""


def test_a_model_of_bytes_gets_bytes_and_the_report_says_why() -> None:
    """Its answers to numbers of 0 to 1 are all alike, and a comparison of them would prove nothing."""
    found = chosen(USUAL, ["x"], model(lambda x: 1 + x / 100), calm=always)
    assert found.ranges == {"x": (0.0, 255.0)}
    assert found.why.startswith("this range was chosen because the answers vary by 37% in it, by 0.7% in -1 to 1")


def test_a_range_that_the_model_refuses_or_answers_with_nan_is_none() -> None:
    """A square root of what is negative is no variation."""

    def answers(x: np.ndarray[tuple[int], np.dtype[np.float64]]) -> object:
        if x.max() > 200:
            raise ValueError("out of range")
        return np.where(x.min() < -20, np.nan, 1 + x / 20)

    assert chosen(USUAL, ["x"], model(answers), calm=always).ranges == {"x": (-10.0, 10.0)}


def test_answers_that_never_vary_are_said_to() -> None:
    found = chosen(USUAL, ["x"], model(lambda x: 1 + x * 0), calm=always)
    assert found.ranges == USUAL
    assert "no more in other usual ranges" in found.why


@pytest.mark.parametrize("open_to", [[], ["x"]])
def test_what_the_user_gave_is_kept(open_to: list[str]) -> None:
    ranges = {"x": (-1.0, 1.0), "asked": (3.0, 4.0)}
    found = chosen(ranges, open_to, model(lambda x: 1 + x / 100), calm=always).ranges
    assert found["asked"] == (3.0, 4.0)
    assert (found["x"] == (-1.0, 1.0)) is (open_to == [])


def test_a_range_in_which_rounding_grows_is_passed_over_and_the_report_says_so() -> None:
    """Every runtime rounds in its own way: in such a range all of them would fail, wrongly."""
    found = chosen(USUAL, ["x"], model(lambda x: 1 + x / 20), calm=up_to(200))
    assert found.ranges == {"x": (-10.0, 10.0)}
    assert found.why.endswith("; 0 to 255 passed over, where rounding alone changes the answers")
    assert found.calm


def test_the_usual_range_is_left_only_where_rounding_grows_in_it() -> None:
    usual = {"x": (-10.0, 10.0)}
    found = chosen(usual, ["x"], model(lambda x: x), calm=up_to(1))
    assert found.ranges == {"x": (0.0, 1.0)}
    assert found.why == "this range was chosen because rounding alone changes the answers in -10 to 10"
    assert chosen(usual, ["x"], model(lambda x: x), calm=up_to(10)).ranges == usual


@pytest.mark.parametrize("open_to", [[], ["x"]])
def test_where_no_range_is_calm_the_usual_one_stays_and_it_is_known(open_to: list[str]) -> None:
    found = chosen(USUAL, open_to, model(lambda x: x), calm=up_to(0))
    assert found.ranges == USUAL
    assert not found.calm


def test_a_calm_range_is_not_left_for_a_wild_one() -> None:
    found = chosen(USUAL, ["x"], model(lambda x: 1 + x / 100), calm=up_to(1))
    assert found.ranges == USUAL
    assert "no more in other usual ranges; -128 to 127, -10 to 10, 0 to 255 passed over" in found.why


def test_a_usual_range_that_the_model_refuses_is_left_for_one_that_it_takes() -> None:
    """A model that asserts that its inputs are pixels could not be adopted at all without samples."""

    def answers(x: np.ndarray[tuple[int], np.dtype[np.float64]]) -> object:
        if x.min() < 0:
            raise ValueError("negative")
        return 1 + x * 0

    found = chosen(USUAL, ["x"], model(answers), calm=always)
    assert found.ranges == {"x": (0.0, 1.0)}
    assert found.why == "this range was chosen because the model refuses -1 to 1"


def test_where_all_ranges_are_refused_the_usual_one_stays_and_it_is_said() -> None:
    def refusing(ranges: Mapping[str, Range]) -> Tensors:
        raise ValueError(f"not {ranges}")

    found = chosen(USUAL, ["x"], refusing, calm=always)
    assert found.ranges == USUAL
    assert found.why == "the model refuses this range, and other usual ones, too"
