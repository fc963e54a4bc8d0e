"""Version folders appear whole, readable by the server's user, and alone."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.core.artifact import Artifact
from pipeline.core.errors import EnvironmentProblem, TargetFailed
from serving.model_base import ModelBase
from tests.unit.serving.conftest import version_folder


@pytest.fixture
def base(tmp_path: Path) -> ModelBase:
    made = ModelBase(scratch=tmp_path / "s", model="half")
    made.create()
    return made


def test_a_version_costs_no_copy_of_its_files(base: ModelBase, artifact: Artifact) -> None:
    """A model of some gigabytes would fill the disk once more at every run."""
    version, is_new = base.place(artifact)
    assert (version, is_new) == (1, True)
    assert (base.path / "1/saved_model.pb").stat().st_ino == (artifact.path / "saved_model.pb").stat().st_ino
    assert base.place(artifact) == (1, False)


def test_what_only_its_owner_may_read_is_copied_and_opened(base: ModelBase, artifact: Artifact) -> None:
    """A container runs as somebody else, and opening the store's own file would change it behind the user's back."""
    secret = artifact.path / "saved_model.pb"
    secret.chmod(0o600)
    (artifact.path / "variables").chmod(0o700)
    base.place(artifact)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE((base.path / "1/saved_model.pb").stat().st_mode) == 0o644
    assert stat.S_IMODE((base.path / "1/variables").stat().st_mode) == 0o755
    assert stat.S_IMODE((artifact.path / "variables").stat().st_mode) == 0o700


def test_only_the_version_asked_for_stays(base: ModelBase, tmp_path: Path) -> None:
    """A server keeps to the highest, so an older one would never be served."""
    for version in (2, 1):
        base.place(version_folder(tmp_path, version))
        assert [path.name for path in base.path.iterdir()] == [str(version)]


def test_half_a_version_never_shows(base: ModelBase, artifact: Artifact) -> None:
    """A server that polls at the wrong moment would load a model without its weights."""
    (artifact.path / "variables/variables.data").symlink_to("nowhere")
    with pytest.raises(EnvironmentProblem, match="could not be placed"):
        base.place(artifact)
    assert list(base.path.iterdir()) == []
    (artifact.path / "variables/variables.data").unlink()
    assert base.place(artifact) == (1, True)


def test_a_folder_that_is_no_version_is_refused(base: ModelBase, artifact: Artifact) -> None:
    """A server ignores folders that are not named by a number, and the wait would run out."""
    with pytest.raises(TargetFailed, match="is not a version folder"):
        base.place(replace(artifact, path=artifact.path.parent))
