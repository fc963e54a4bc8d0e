"""What preflight finds: a line for each artifact on each target, and the obstacles on each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from pipeline.core.errors import ExitStatus

SCHEMA = "tripoint.preflight/1"


class Outlook(StrEnum):
    """`CONVERTS` is for an artifact that was made and not yet loaded.

    `UNTRIED` is for one that was not made either, and for a browser while nobody knows what TF.js has.
    """

    RUNS = "runs"
    CONVERTS = "converts"
    UNTRIED = "not tried"
    FAILS = "will not run"


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """One operation that is in the way. `operation` is empty where no single one can be named."""

    operation: str
    layers: tuple[str, ...]
    why: str
    helps: str

    def sentence(self) -> str:
        what = f"`{self.operation}`" if self.operation else "the model"
        where = f" in {', '.join(f'`{layer}`' for layer in self.layers)}" if self.layers else ""
        return f"{what}{where}: {self.why}"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact on one target. `lowered` has a sentence for each lowering on the way to it."""

    target: str
    precision: str
    outlook: Outlook
    obstacles: tuple[Obstacle, ...] = ()
    lowered: tuple[str, ...] = ()


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found out about one model. `notes` hold for all targets of a kind.

    `missing` says what this machine lacks to look further, with the command that mends it; None when nothing. `after`
    names the layers behind which nothing is in the way, where all that is lies in front of them.
    """

    model: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    missing: str | None = None
    after: tuple[str, ...] = ()
    schema: str = SCHEMA

    @property
    def exit_status(self) -> ExitStatus:
        if any(line.outlook is Outlook.FAILS for line in self.lines):
            return ExitStatus.DISAGREES
        return ExitStatus.AGREES if self.missing is None else ExitStatus.ENVIRONMENT


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What became of an attempt to make or to load an artifact; `problem` None means that it worked."""

    problem: str | None
    hint: str = ""
