"""Errors are counted in bins, and what is told of them is true to a bin."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.parity.error_sizes import SHARES, ErrorSizes
from pipeline.parity.figures import ErrorQuantile, Histogram


def sizes(*blocks: list[float], not_compared: int = 0) -> ErrorSizes:
    counted = ErrorSizes()
    for block in blocks:
        counted.add(np.array(block), not_compared=not_compared)
    return counted


def test_a_histogram_has_four_bins_a_decade_over_all_blocks() -> None:
    """Otherwise the chart would show errors of another size, or another number of them."""
    counted = sizes([0.002, 0.0, 0.002, 0.0], [2.0, 0.002, 0.0], not_compared=1)
    # 10^-2.75 <= 0.002 < 10^-2.5 and 10^0.25 <= 2 < 10^0.5; of three zeros one a block stands for no error.
    assert counted.histogram() == Histogram(first_exponent=-2.75, per_decade=4, counts=(3, *[0] * 11, 1), zeros=1)
    assert counted.zeros == 1


@pytest.mark.parametrize(("error", "first"), [(5e-324, -323.5), (np.inf, 308.25), (1.0, 0.0)])
def test_the_smallest_and_the_largest_errors_have_a_bin(error: float, first: float) -> None:
    """Otherwise an error at the end of float64 would end the comparison."""
    assert sizes([error]).histogram() == Histogram(first_exponent=first, per_decade=4, counts=(1,), zeros=0)


def test_no_errors_are_an_empty_histogram() -> None:
    """Otherwise a chart of nothing would break the report."""
    assert sizes([0.0, 0.0]).histogram() == Histogram(first_exponent=0.0, per_decade=4, counts=(), zeros=2)


def test_octaves_begin_at_1_and_end_at_the_last_that_is_filled() -> None:
    """Otherwise ulps would be told in another power of two."""
    assert sizes([1.0, 0.25], [1.5, 4.0]).octaves() == (2, 0, 1)
    assert sizes([0.25]).octaves() == ()


@pytest.mark.parametrize(
    ("errors", "largest", "quantiles"),
    [
        ([1.0] * 9 + [4.0], 4.0, (1 + 1 / 64, 1 + 1 / 64, 4.0, 4.0)),  # an upper edge, but never above the largest
        ([0.0] * 5 + [1.0] * 5, 1.0, (0.0, 1.0, 1.0, 1.0)),
        ([0.0] * 4 + [1.0] * 6, 2.0, (1 + 1 / 64,) * 4),
        ([0.0] * 3, 0.0, (0.0,) * 4),
        ([np.inf], np.inf, (np.inf,) * 4),
    ],
)
def test_a_quantile_is_what_its_share_of_the_errors_does_not_exceed(
    errors: list[float], largest: float, quantiles: tuple[float, ...]
) -> None:
    """Otherwise half the answers would be said to be better than they are."""
    assert sizes(errors).quantiles(largest) == tuple(
        ErrorQuantile(share=share, error=error) for share, error in zip(SHARES, quantiles, strict=True)
    )


def test_nothing_compared_has_no_quantile() -> None:
    """Otherwise an error of 0 would be told of answers that nobody compared."""
    assert sizes([0.0, 0.0], not_compared=2).quantiles(0.0) == ()
