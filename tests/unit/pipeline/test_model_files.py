"""What a name or a path given to a command stands for; nothing of a model is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import config as configuration
from pipeline.adopting import Asked, known_or_adopted
from pipeline.adoption import Adopted
from pipeline.config import Config
from pipeline.core.errors import UsageError
from pipeline.model_files import ModelFile, find


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    (tmp_path / "flowers.py").write_text("MODEL = None\n")
    (tmp_path / "made.h5").write_bytes(b"\x89HDF\r\n\x1a\n and more")
    monkeypatch.chdir(tmp_path)
    return configuration.parse("", folder=tmp_path)


def test_names_and_model_files_are_known(project: Config) -> None:
    assert known_or_adopted("digits", Asked(), project) == find("digits", project)
    assert known_or_adopted("flowers.py", Asked(), project) == ModelFile(name="flowers", path=Path("flowers.py"))


@pytest.mark.parametrize(("source", "kind"), [("made.h5", "h5"), ("flowers.py:build", "builder")])
def test_what_lies_elsewhere_is_to_be_adopted(project: Config, source: str, kind: str) -> None:
    """Whoever wants to know where a model will run would have to convert and run it first."""
    found = known_or_adopted(source, Asked(trust=True), project)
    assert isinstance(found, Adopted)
    assert (found.kind, found.trust) == (kind, True)


def test_a_path_with_nothing_there_is_told_so(project: Config) -> None:
    with pytest.raises(UsageError, match="there is no such model file"):
        known_or_adopted("nowhere/made.h5", Asked(), project)


@pytest.mark.parametrize("source", ["made.h5", "flowers.py:build"])
def test_a_command_that_takes_names_only_says_how_to_get_one(project: Config, source: str) -> None:
    """`tripoint run my_model.keras` said that there was no such file, of a file that was there."""
    with pytest.raises(UsageError, match="nor a model file in Python") as raised:
        find(source, project)
    assert raised.value.hint.startswith(f"`tripoint adopt {source}`")
