"""A folder of models as other people leave them, in which every test here runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.pipeline.foreign.foreign_models import write_all


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign")
    write_all(folder)
    return folder


@pytest.fixture(autouse=True)
def _in_there(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sources)
    monkeypatch.syspath_prepend(str(sources))
