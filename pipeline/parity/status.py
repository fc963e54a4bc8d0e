"""What became of one line of the report."""

from __future__ import annotations

from typing import Literal, TypeAlias, assert_never

from pipeline.parity.findings import Finding
from pipeline.parity.values import Kind, Value


class Found(Value, frozen=True):
    """A finding at its worst, the batch sizes with just that, and those where the same is found in lesser measure."""

    finding: Finding
    batch_sizes: tuple[int, ...]
    lesser_at: tuple[int, ...] = ()

    @property
    def sentence(self) -> str:
        plural = "s" if len(self.batch_sizes) > 1 else ""
        lesser = f"; less so at {_sizes(self.lesser_at)}" if self.lesser_at else ""
        return f"{self.finding.sentence} [batch size{plural} {_sizes(self.batch_sizes)}{lesser}]"


class Pass(Kind, frozen=True, tag="pass"):
    """Compared, and everything within tolerance."""


class Fail(Kind, frozen=True, tag="fail"):
    """Compared, and something beyond tolerance."""

    findings: tuple[Found, ...]


class Skip(Kind, frozen=True, tag="skipped"):
    """Not run, and why."""

    reason: str


class Error(Kind, frozen=True, tag="error"):
    """Run, and broke: what happened, and the mend."""

    problem: str
    hint: str


class Inconclusive(Kind, frozen=True, tag="inconclusive"):
    """Compared and within tolerance, but a wrong answer could have been as well."""

    reason: str


Status: TypeAlias = Pass | Fail | Skip | Error | Inconclusive

Word: TypeAlias = Literal["PASS", "FAIL", "SKIPPED", "ERROR", "INCONCLUSIVE"]


def word(status: Status) -> Word:
    """The status in the one word that every rendering uses."""
    match status:
        case Pass():
            return "PASS"
        case Fail():
            return "FAIL"
        case Skip():
            return "SKIPPED"
        case Error():
            return "ERROR"
        case Inconclusive():
            return "INCONCLUSIVE"
        case _:
            assert_never(status)


def _sizes(sizes: tuple[int, ...]) -> str:
    return ", ".join(map(str, sizes))
