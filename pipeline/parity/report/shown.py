"""The samples that some target answered worst, in a form that a report can show: a small picture, or a few values."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors
from pipeline.parity.exact import comparable, scalar
from pipeline.parity.report.report import ShownInput, ShownSample
from pipeline.parity.report.summary import worst_output
from pipeline.parity.row import Row

SAMPLES_SHOWN = 60
VALUES_SHOWN = 32
_LARGEST_SIDE = 96
_SMALLEST_SIDE = 4


def shown_samples(
    rows: Sequence[Row], samples: Tensors, *, labels: NDArray[Any] | None = None
) -> tuple[ShownSample, ...]:
    """The worst samples of each row's worst output, at most 60, each row's worst before any row's second worst."""
    ranked = [worst.worst_samples for row in rows if (worst := worst_output(row)) is not None]
    deepest = max(map(len, ranked), default=0)
    wanted = dict.fromkeys(row[rank].sample for rank in range(deepest) for row in ranked if rank < len(row))
    return tuple(
        ShownSample(
            sample=sample,
            inputs=tuple(_shown(name, np.asarray(array[sample])) for name, array in samples.items()),
            label=None if labels is None else int(labels[sample]),
        )
        for sample in sorted(list(wanted)[:SAMPLES_SHOWN])
    )


def _shown(name: str, array: NDArray[Any]) -> ShownInput:
    dtype = "string" if array.dtype.kind in "OSU" else array.dtype.name
    if _looks_like_an_image(array):
        return ShownInput(name=name, dtype=dtype, shape=array.shape, png=_png(array))
    flat = comparable(array).ravel()
    return ShownInput(
        name=name,
        dtype=dtype,
        shape=array.shape,
        values=tuple(_text(value) for value in flat[:VALUES_SHOWN]),
        complete=flat.size <= VALUES_SHOWN,
    )


def _looks_like_an_image(array: NDArray[Any]) -> bool:
    """Rows and columns of one grey, or of three or four colour values, all of them finite numbers."""
    grid = array.shape[:2]
    channels = array.shape[2:] in ((), (1,), (3,), (4,))
    numbers = array.dtype.kind in "fiub" and bool(np.isfinite(array).all())
    return len(grid) == 2 and min(grid) >= _SMALLEST_SIDE and channels and numbers


def _png(array: NDArray[Any]) -> str:
    """A PNG (base64) of at most 96 x 96 pixels, the sample's own lowest value black and its highest white."""
    from PIL import Image

    values = array.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    levels = np.round((values - low) * (255 / (high - low) if high > low else 0.0)).astype(np.uint8)
    image = Image.fromarray(levels.reshape(levels.shape[:2]) if levels.shape[2:] == (1,) else levels)
    # Only ever made smaller: an 8 x 8 image is scaled up by the page, crisply.
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def _text(value: Any) -> str:
    plain = scalar(value)
    return f"{plain:.6g}" if isinstance(plain, float) else str(plain)
