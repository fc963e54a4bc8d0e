"""`tripoint new`: what it writes is found, is whole and is nobody else's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline import model_files
from pipeline.config import Config
from pipeline.core.errors import UsageError
from pipeline.new_model import new_model


def test_the_file_is_found_and_says_what_it_must(tmp_path: Path) -> None:
    """The first thing that a newcomer types would fail."""
    project = Config(folder=str(tmp_path))
    file = new_model("flowers", project)
    assert file == tmp_path / "models" / "flowers.py"
    assert [path.name for path in file.parent.iterdir()] == ["flowers.py"]
    spec = model_files.load(model_files.find("flowers", project))
    assert spec.name == "flowers"
    data = spec.data()
    assert (data.train.count, data.test.count) == (90, 60)
    assert data.test.inputs["lengths"].dtype == np.float32
    assert "NAME" not in file.read_text()


@pytest.mark.parametrize("name", ["Flowers", "my-model", "../flowers", "", "2d", "class", "a b", "n" * 101])
def test_names_that_cannot_be_are_refused(name: str, tmp_path: Path) -> None:
    """They would become folders, options or no Python at all."""
    with pytest.raises(UsageError, match="cannot be called"):
        new_model(name, Config(folder=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A day's work would be gone; and a name of ours would hide the model that it names."""
    project = Config(folder=str(tmp_path))
    file = new_model("flowers", project)
    file.write_text("mine")
    for name in ("flowers", "digits"):
        with pytest.raises(UsageError, match="already"):
            new_model(name, project)
    assert file.read_text() == "mine"
