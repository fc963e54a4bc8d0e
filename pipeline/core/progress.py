"""How stages say what they are doing, to an observer that defaults to nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One thing that happened in a stage. `done` of `total` units are finished; both None when it cannot be counted.

    `finished` marks the last event of a stage, `seconds` then says how long it took.
    """

    stage: str
    message: str
    done: int | None = None
    total: int | None = None
    finished: bool = False
    seconds: float | None = None


class Observer(Protocol):
    """Takes events from any thread."""

    def __call__(self, event: Progress, /) -> None: ...


def nobody(_event: Progress, /) -> None:
    """The observer that does not look."""
