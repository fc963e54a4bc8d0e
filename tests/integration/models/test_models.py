"""The models of ours: their data is what they say, and each learns what it is for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline import config, model_files
from pipeline.core.model import ModelSpec
from pipeline.training import train

NAMES = sorted(model_files.model_files(config.Config()))


def spec_of(name: str) -> ModelSpec:
    return model_files.load(model_files.find(name, config.Config()))


@pytest.mark.parametrize("name", NAMES)
def test_the_data_is_whole(name: str) -> None:
    """Rows that do not belong together, or inputs that are all alike, train something, and prove nothing."""
    spec = spec_of(name)
    data = spec.data()
    for split in (data.train, data.test):
        assert split.count > 30
        weights = split.weights or {}
        for array in (*split.inputs.values(), *split.targets.values(), *weights.values()):
            assert len(array) == split.count
            assert array.dtype == object or np.isfinite(array.astype(np.float64)).all()
        assert set(split.targets) == set(spec.output_names)
    for name_of_input, array in data.test.inputs.items():
        assert len(np.unique(array)) > 1, name_of_input
        assert array.dtype == data.train.inputs[name_of_input].dtype
    assert set(spec.error_ceilings) <= set(spec.output_names)
    assert spec.accuracy_floor is not None or spec.error_ceilings


@pytest.mark.slow
# Keras 3.15 saves its checkpoints so, with NumPy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("name", NAMES)
def test_each_model_learns_what_it_is_for(name: str, tmp_path: Path) -> None:
    """A model that answers anything at all would still agree with itself on every target."""
    spec = spec_of(name)
    trained = train(
        spec, epochs=spec.epochs, seed=spec.seed, resume=False, checkpoints=tmp_path / "checkpoints", tensorboard=None
    )
    if spec.accuracy_floor is not None:
        assert trained.accuracy is not None
        assert trained.accuracy >= spec.accuracy_floor
