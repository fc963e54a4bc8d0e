"""What the corpus knows of a model: how to write it to disk, what to ask it, and what it is hard for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors

KERAS_FILE = "model.keras"
SAVED_MODEL = "saved_model"
ASKED = 16
"""How many rows of its samples a model is asked: each costs a call in a browser, at batch size 1."""
SAMPLES = ASKED + 200
"""Rows of a model's samples: integer quantization learns from those that are not asked, as many as it takes unasked."""


@dataclass(frozen=True, kw_only=True)
class CorpusModel:
    """One row of the corpus.

    `write` puts the model into an empty folder, as somebody else would have saved it, and returns its path; seeds are
    set before. `samples` gives what every target is asked; without it that is made up. `code` is the module whose
    classes the file needs, `beside` are .tflite files that others made of the same model. `after` are layers: the part
    of the model behind them is adopted. What it cannot do stands in `limits.py`.
    """

    name: str
    hard_for: str
    write: Callable[[Path], Path]
    samples: Callable[[np.random.Generator], Tensors] | None
    code: str | None = None
    trust: bool = False
    signature: str | None = None
    beside: tuple[Path, ...] = ()
    after: tuple[str, ...] = ()


def keras_file(build: Callable[[], Any]) -> Callable[[Path], Path]:
    """Saves what `build` makes in Keras 3's own format."""

    def write(folder: Path) -> Path:
        file = folder / KERAS_FILE
        build().save(file)
        return file

    return write


def uniform(*shapes: tuple[int, ...], names: tuple[str, ...] = ("x",), rows: int = SAMPLES) -> Callable[..., Tensors]:
    """Float32 samples evenly between -2 and 2, one shape without the batch for each name.

    Bounded, as pixels and measurements are: of values without bounds some sample always leaves the ranges that integer
    quantization learned from others, and the cell would tell of the samples, not of the model.
    """

    def samples(random: np.random.Generator) -> Tensors:
        return {name: evenly(random, (rows, *shape)) for name, shape in zip(names, shapes, strict=True)}

    return samples


def evenly(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Values evenly between -2 and 2, in that shape."""
    return random.uniform(-2, 2, shape).astype(np.float32)
