"""What a worker does for the corpus: write one model and its samples to disk."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

SEED = 0


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A model on disk, and how it is to be adopted; without `samples` these are made up."""

    model: str
    samples: str | None
    signature: str | None = None
    trust: bool = False
    custom_objects: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def write_model(name: str, folder: Path) -> Written:
    """Write the model of that name and its samples, with seeds set."""
    import keras

    from tests.corpus.registry import every_model

    model = every_model(every_member=True)[name]
    keras.backend.clear_session()
    keras.utils.set_random_seed(SEED)
    place = model.write(folder)
    samples = None
    if model.samples is not None:
        samples = folder / "samples.npz"
        arrays = {key: _plain(array) for key, array in model.samples(np.random.default_rng(SEED)).items()}
        np.savez(samples, **arrays)  # type: ignore[arg-type]  # no input is called allow_pickle
    return Written(
        model=str(place),
        samples=None if samples is None else str(samples),
        signature=model.signature,
        trust=model.trust,
        custom_objects=() if model.code is None else _classes_of(model.code),
        beside=tuple(str(file) for file in model.beside),
        after=model.after,
    )


def _classes_of(module: str) -> tuple[str, ...]:
    import keras

    found = vars(importlib.import_module(module)).values()
    own = [one for one in found if isinstance(one, type) and one.__module__ == module]
    return tuple(f"{module}:{one.__name__}" for one in own if issubclass(one, keras.layers.Layer))


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    # Text as NumPy's own strings: an array of Python objects is code, which nobody should have to trust.
    return array.astype(np.str_) if array.dtype == object else array
