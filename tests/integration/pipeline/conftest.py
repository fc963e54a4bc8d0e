"""A project of its own, with one finished run, that the tests of the main job share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import config
from pipeline.doctor import targets_here
from tests.integration.pipeline.project import Project


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, repository: Path, require: Callable[[str | None], None]
) -> Project:
    """A project in which everything ran once, on every target."""
    for check in targets_here(config.load(repository), "digits"):
        require(check.missing)
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(repository / "tripoint.toml", folder)
    project = Project(folder=folder)
    project.run()
    return project
