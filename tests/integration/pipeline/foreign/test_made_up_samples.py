"""A model without samples is asked what it does something with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.golden import GOLDEN_FILE, load_tensors
from pipeline.golden import load as load_golden
from pipeline.taking_in import REPRESENTATIVE_FILE, Facts
from tests.integration.pipeline.foreign.taking import NOT_OURS, taken

pytestmark = NOT_OURS


def _taken_as_both(source: str, into: Path) -> list[Facts]:
    """The Keras model, and the SavedModel that was made of it, which says less of itself."""
    first = taken(source, into / "keras")
    return [first, taken(str(into / "keras" / "saved_model"), into / "saved_model", name="other")]


def test_floats_that_the_model_makes_indices_of_are_indices(tmp_path: Path) -> None:
    """Of -1 to 1 each is word 0 or the last: every comparison of a text model would have been of one word."""
    for facts in _taken_as_both("builders.py:tokens", tmp_path):
        assert "ids [20] whole numbers 0 to 999 (the rows of a table of 1000); seed" in facts["samples"]
    for kind in ("keras", "saved_model"):
        ids = load_golden(tmp_path / kind / GOLDEN_FILE).inputs["ids"]
        assert ids.dtype == np.float32
        assert len(np.unique(ids)) > 500


def test_a_model_that_takes_only_its_vocabulary_is_taken_in_without_samples(tmp_path: Path) -> None:
    """Its layers refuse all else: it could not be adopted without samples."""
    for facts in _taken_as_both("builders.py:tabular", tmp_path):
        said = facts["samples"]
        assert "city [1] keys of a lookup table of 2 only" in said
        assert "year [1] keys of a lookup table of 2 only" in said
        assert "age [1] 0 to 88.5 (bins from 18 to 65)" in said
        assert "kind [1] whole numbers 0 to 3 (" in said
        assert facts["notes"] == []
    for kind in ("keras", "saved_model"):
        inputs = load_golden(tmp_path / kind / GOLDEN_FILE).inputs
        assert set(inputs["city"].ravel()) == {b"Rome", b"Bern"}
        assert set(inputs["year"].ravel()) == {1990, 2005}
        assert inputs["income"][:, 0].min() > 30_000
        assert np.ptp(inputs["income"][:, 1]) < 0.41


def test_a_length_that_convolutions_leave_something_of_is_found(tmp_path: Path) -> None:
    for facts in _taken_as_both("builders.py:unpadded", tmp_path):
        assert "x [128, 2] -1 to 1; seed 0; open dimensions became 128" in facts["samples"]


def test_operations_that_cannot_be_looked_at_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a text model would be asked one word, as before, and nobody would know why."""

    def broken(function: object) -> None:
        raise ValueError(f"cannot inline {type(function).__name__}")

    monkeypatch.setattr("export.known_inputs.known_values", broken)
    (note,) = taken("builders.py:tokens", tmp_path)["notes"]
    assert "ValueError: cannot inline ConcreteFunction): values were made up from their types alone" in note


def test_made_up_samples_are_none_of_which_a_model_answers_grown_rounding_errors(tmp_path: Path) -> None:
    """Of these, every runtime's answers differ from the model's by percents, and a sound file would fail everywhere."""
    facts = taken("builders.py:wild", tmp_path)
    assert "frames [20, 6, 6, 1] -10 to 10; seed" in facts["samples"]
    assert "0 to 255 passed over, where rounding alone changes the answers" in facts["samples"]
    assert not facts["notes"]


def test_a_range_asked_for_in_which_rounding_grows_is_kept_and_said(tmp_path: Path) -> None:
    facts = taken("builders.py:logistic", tmp_path, ranges={"x": (-1.0, 1.0)})
    assert "x [256] -1 to 1; seed" in facts["samples"]
    assert "rounding alone grows in it" in " ".join(facts["notes"])


def test_quantization_learns_from_as_many_made_up_samples_as_it_may(tmp_path: Path) -> None:
    """They cost nothing; ranges taken from few are left by others, and single values of int8 would be cut off."""
    taken("builders.py:nested", tmp_path, count=5)
    learned = load_tensors(tmp_path / REPRESENTATIVE_FILE)
    assert {len(array) for array in learned.values()} == {20}
