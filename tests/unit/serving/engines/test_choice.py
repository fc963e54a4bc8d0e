"""`auto` takes the first engine that can, and remembers why not the others."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from pipeline.core.errors import EnvironmentProblem
from serving.engines.choice import first_that_can
from serving.engines.contract import RunningServer, ServedModel


@dataclass(frozen=True)
class FakeEngine:
    name: str
    reason: str | None

    def missing(self) -> str | None:
        return self.reason

    def settings(self) -> Mapping[str, str]:
        return {}

    def start(self, model: ServedModel) -> AbstractContextManager[RunningServer]:
        raise AssertionError(f"{self.name} is only to be chosen, not started on {model}")


def test_the_first_engine_that_can_is_taken_and_the_reasons_are_kept() -> None:
    """A green line of the embedded server must not be read as one of TensorFlow Serving."""
    choice = first_that_can(
        (FakeEngine("docker", "no daemon"), FakeEngine("native", None), FakeEngine("embedded", None))
    )
    assert choice.engine.name == "native"
    assert choice.why == "not docker: no daemon"


def test_no_engine_at_all_names_every_reason() -> None:
    """Each reason has another mend, and the user picks the easiest."""
    with pytest.raises(EnvironmentProblem, match="not docker: no daemon; not embedded: no TensorFlow"):
        first_that_can((FakeEngine("docker", "no daemon"), FakeEngine("embedded", "no TensorFlow")))
