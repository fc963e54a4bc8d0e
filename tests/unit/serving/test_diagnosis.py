"""Each way to end has its mend."""

from __future__ import annotations

import pytest

from serving.diagnosis import likely_mend
from serving.engines.contract import Ended, ended_from_status


@pytest.mark.parametrize(
    ("status", "sentence", "mend"),
    [
        (132, "killed by SIGILL", "AVX"),
        (-4, "killed by SIGILL", "AVX"),
        (137, "killed by SIGKILL", "memory limit"),
        (134, "killed by SIGABRT", "check inside TensorFlow"),
        (139, "killed by SIGSEGV", "embedded"),
        (143, "killed by SIGTERM", "somebody stopped it"),
        (1, "exit code 1", "log's last lines"),
        (255, "exit code 255", "log's last lines"),
    ],
)
def test_an_exit_status_is_explained(status: int, sentence: str, mend: str) -> None:
    """Few people know their signals by number."""
    ended = ended_from_status(status)
    assert ended.sentence == sentence
    assert mend in likely_mend(ended, "")


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ("exec /usr/bin/tf_serving_entrypoint.sh: exec format error", "another kind of processor"),
        ("No versions of servable half found under base path /models/half", "no version folder"),
        ("bind: Address already in use", "holds the port"),
        ("/models/half/1; Permission denied", "may not read"),
        ("Op type not registered 'Foo' in binary running on host", "newer TensorFlow"),
    ],
)
def test_a_line_of_the_log_tells_more_than_the_exit_code(line: str, mend: str) -> None:
    """The cause stands in the log, in words that a newcomer has never seen."""
    assert mend in likely_mend(Ended(exit_code=1), line)


def test_memory_goes_before_the_log() -> None:
    """A server that runs out of memory often complains about something else first."""
    assert "memory limit" in likely_mend(Ended(signal=9, out_of_memory=True), "No versions of servable")
