"""A server process that is made while its run is being stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.core.errors import ExitStatus
from pipeline.forked_server import ForkingLauncher
from pipeline.workers import Workers


def test_a_server_whose_run_was_stopped_ends_without_a_word(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C in the first seconds left a traceback on the terminal, behind the sentence that all was stopped."""

    def launch(target: Callable[..., None], *arguments: Any) -> None:
        target(*arguments)

    launcher = ForkingLauncher(workers=cast("Workers", SimpleNamespace(launch=launch)))
    with pytest.raises(SystemExit) as ended:
        launcher(("--port", "0"), log=tmp_path / "gone" / "server.log")
    assert ended.value.code == ExitStatus.INTERRUPTED
    assert capfd.readouterr() == ("", "")
