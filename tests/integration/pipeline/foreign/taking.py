"""Taking a model in, as `tripoint adopt` would."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.adopting import Asked, adopted
from pipeline.config import Config
from pipeline.core.progress import nobody
from pipeline.foreign import Foreign, load
from pipeline.taking_in import Facts, take_in

# Keras, tf-keras and TensorFlow warn in their own code, of NumPy's changes and of each other's.
NOT_OURS = pytest.mark.filterwarnings("ignore")


def loaded(source: str, **asked: object) -> Foreign:
    return load(adopted(source, Asked(**asked), Config()))  # type: ignore[arg-type]  # as the test gives them


def taken(source: str, into: Path, **asked: object) -> Facts:
    model = adopted(source, Asked(**asked), Config())  # type: ignore[arg-type]  # as the test gives them
    return take_in(model, into, input_checks=True, representative_samples=20, observer=nobody)
