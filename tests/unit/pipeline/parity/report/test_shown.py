"""Which samples a report shows, and what of them."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.parity.report.report import Report, ShownInput
from pipeline.parity.report.shown import shown_samples


def first_input(report: Report, samples: NDArray[Any]) -> ShownInput:
    return shown_samples(report.rows, {"x": samples})[0].inputs[0]


@pytest.mark.parametrize(
    ("shape", "size", "mode"),
    [
        ((12, 8, 8, 1), (8, 8), "L"),
        ((12, 8, 8), (8, 8), "L"),
        ((12, 10, 20, 3), (20, 10), "RGB"),
        ((12, 300, 150, 3), (48, 96), "RGB"),
    ],
)
def test_what_looks_like_an_image_becomes_a_small_picture(
    failing: Report, shape: tuple[int, ...], size: tuple[int, int], mode: str
) -> None:
    """Otherwise a reader would look at pixel values instead of the digit."""
    from PIL import Image

    shown = first_input(failing, np.random.default_rng(0).random(shape))
    assert shown.png is not None
    with Image.open(io.BytesIO(base64.b64decode(shown.png))) as image:
        assert (image.size, image.mode) == (size, mode)


@pytest.mark.parametrize(
    ("samples", "values", "complete"),
    [
        (np.full((12, 3), 0.5), ("0.5", "0.5", "0.5"), True),
        (np.full((12, 2), np.nan), ("NaN", "NaN"), True),
        (np.array(["a text"] * 12, object), ("a text",), True),
        (np.zeros((12, 100), np.int32), ("0",) * 32, False),
    ],
)
def test_anything_else_becomes_its_first_values(
    failing: Report,
    samples: NDArray[Any],
    values: tuple[str, ...],
    complete: bool,  # noqa: FBT001  # a parameter
) -> None:
    """Otherwise tables, texts and signals would not be shown at all."""
    shown = first_input(failing, samples)
    assert (shown.png, shown.values, shown.complete) == (None, values, complete)


def test_an_image_that_is_not_finite_is_not_drawn(failing: Report) -> None:
    """Otherwise NaN would be painted as a colour."""
    assert first_input(failing, np.full((12, 8, 8), np.nan)).png is None


def test_only_samples_that_differ_are_shown_each_once(failing: Report, passing: Report) -> None:
    """Otherwise the page would be full of samples that nobody needs to see."""
    shown = [sample.sample for sample in failing.samples.shown]
    assert shown == sorted(set(shown))
    worst = {
        sample.sample
        for row in failing.rows
        if row.comparison is not None
        for sample in row.comparison.batches[-1].outputs[0].worst_samples
    }
    assert set(shown) == worst
    assert shown_samples(passing.rows[:1], {"x": np.zeros((12, 8, 8))}) == ()
