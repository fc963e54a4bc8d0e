"""An edge interpreter that does not work: said by `missing`, with its mend, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.runtime import EdgeProcess
from pipeline.core.errors import EnvironmentProblem

FAULTS = {
    "not executable": ("#!/bin/sh\n", 0o644),
    "fails": ("#!/bin/sh\nexit 3\n", 0o755),
    "prints words": ("#!/bin/sh\necho hello\n", 0o755),
    "prints a number": ("#!/bin/sh\necho 3\n", 0o755),
    "no program": ("not a program", 0o755),
}


@pytest.fixture(params=list(FAULTS.values()), ids=list(FAULTS))
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> EdgeProcess:
    content, mode = request.param
    file = tmp_path / "python"
    file.write_text(content)
    file.chmod(mode)
    return EdgeProcess(library="litert", python=str(file))


def test_an_interpreter_that_does_not_run_is_missing_with_its_mend(broken: EdgeProcess) -> None:
    """A wrong `edge.python` is what `tripoint doctor` is asked about; it must not end with a traceback instead."""
    reason = broken.missing()
    assert reason is not None
    assert (
        reason == f"{broken.python} is not a Python that runs; correct edge.python in tripoint.toml, or run: make setup"
    )


def test_a_folder_is_not_an_interpreter(tmp_path: Path) -> None:
    """The environment's folder in the place of its interpreter is an easy slip."""
    assert "is not a Python that runs" in (EdgeProcess(library="litert", python=str(tmp_path)).missing() or "")


def test_settings_of_a_broken_environment_are_an_error_for_people(broken: EdgeProcess) -> None:
    """They make up a recipe: a made-up version would let recordings of another one pass for this one's."""
    with pytest.raises(EnvironmentProblem, match="is not a Python that runs"):
        broken.settings()
