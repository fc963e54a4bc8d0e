"""A question that cannot travel costs the runner nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edge.runner_process import running
from edge.wire import CannotTravel, Frame

ECHO = """
import sys
from edge.wire import encoded, read_frame
while (question := read_frame(sys.stdin.buffer.read)) is not None:
    sys.stdout.buffer.writelines(encoded(question)); sys.stdout.buffer.flush()
"""


def test_an_object_is_refused_before_it_is_sent_and_the_runner_goes_on(tmp_path: Path, repository: Path) -> None:
    """Killed for what it never got, the runner could not answer the next samples of the same artifact."""
    command = (sys.executable, "-c", ECHO)
    with running(command, name="LiteRT", folder=repository, log=tmp_path / "log") as process:
        with pytest.raises(CannotTravel, match="`things` is of dtype object"):
            process.ask(Frame({"do": "run"}, {"things": np.array([None])}), silent_for_seconds=30)
        assert process.alive
        assert process.ask(Frame({"do": "hello"}), silent_for_seconds=30).header == {"do": "hello"}
