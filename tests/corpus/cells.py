"""What became of one model on one target, and whether that is what the corpus expects."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from typing import Literal, assert_never

import msgspec

from pipeline.parity.row import Row
from pipeline.parity.status import Error, Fail, Inconclusive, Pass, Skip, word

ADOPTING = "adopt"
"""The name of the one cell of a model that is not even taken in."""

Word = Literal["PASS", "FAIL", "SKIPPED", "ERROR", "INCONCLUSIVE", "REFUSED", "CRASHED"]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one target. `reason` is empty for a pass; `surprise` says what was expected instead, or nothing."""

    name: str
    verdict: Word
    reason: str
    size_bytes: int | None
    milliseconds: float | None
    surprise: str


def cell_of(row: Row, limits: Mapping[str, str]) -> Cell:
    """The row as a cell, held against the model's known limits."""
    verdict, reason = word(row.status), _reason(row)
    milliseconds = None
    if row.comparison is not None:
        times = [batch.milliseconds_per_sample for batch in row.comparison.batches]
        milliseconds = next((time for time in times if time is not None), None)
    return Cell(
        name=row.label,
        verdict=verdict,
        reason=reason,
        size_bytes=row.size_bytes,
        milliseconds=milliseconds,
        surprise=surprise(row.label, verdict, reason, limits),
    )


def refused(problem: str, limits: Mapping[str, str]) -> Cell:
    """The one cell of a model that was not taken in."""
    return Cell(
        name=ADOPTING,
        verdict="REFUSED",
        reason=problem,
        size_bytes=None,
        milliseconds=None,
        surprise=surprise(ADOPTING, "REFUSED", problem, limits),
    )


def crashed(error: Exception) -> Cell:
    """The one cell of a model that broke our own code, which nothing excuses."""
    return Cell(
        name=ADOPTING,
        verdict="CRASHED",
        reason=f"{type(error).__name__}: {error}",
        size_bytes=None,
        milliseconds=None,
        surprise="breaks our own code",
    )


def surprise(name: str, verdict: Word, reason: str, limits: Mapping[str, str]) -> str:
    """In words how the cell is otherwise than known: worse, better, or for another reason. Empty when it is as known.

    `limits` has regular expressions for reasons, by patterns of cells.
    """
    known = [expression for pattern, expression in limits.items() if fnmatch.fnmatch(name, pattern)]
    if verdict == "PASS":
        return f"passes, although it is known not to: {known[0]}" if known else ""
    if not known:
        return "does not pass, and nothing says why it need not"
    if any(re.search(expression, reason) for expression in known):
        return ""
    return f"does not pass for another reason than the known one: {' or '.join(known)}"


def _reason(row: Row) -> str:
    match row.status:
        case Pass():
            return ""
        case Fail(findings=findings):
            return " | ".join(found.sentence for found in findings)
        case Skip(reason=reason) | Inconclusive(reason=reason):
            return reason
        case Error(problem=problem):
            return problem
        case _:
            assert_never(row.status)
