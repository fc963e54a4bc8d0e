"""Which engine runs: the one asked for, or with `auto` the first that can, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core.errors import EnvironmentProblem
from serving.engines.contract import Engine


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The engine, and why it: one sentence that names what spoke against those before it."""

    engine: Engine
    why: str


def first_that_can(engines: Sequence[Engine]) -> Choice:
    """The first engine that nothing speaks against; raises EnvironmentProblem with every reason when there is none."""
    reasons: list[str] = []
    for engine in engines:
        reason = engine.missing()
        if reason is None:
            return Choice(engine=engine, why="; ".join(reasons) or "the first choice")
        reasons.append(f"not {engine.name}: {reason}")
    raise EnvironmentProblem(f"no model server can run here: {'; '.join(reasons)}", hint="tripoint doctor")
