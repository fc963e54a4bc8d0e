"""The probable cause of a difference, found by experiment, as the report carries it."""

from __future__ import annotations

import math

from pipeline.parity.values import Value

UNKNOWN = "unknown"


class Diagnosis(Value, frozen=True):
    """A cause and the experiment that speaks for it.

    `cause` is a name of the table in docs/diagnosis.md, or "unknown". The errors are those of the worst output, as a
    share of how much the reference itself varies over the samples: as it came, and after what the cause would have done
    is allowed for. They are None where the cause is plain to see, and infinite where the two cannot be compared.
    `tried` counts the causes that were put to the test.
    """

    cause: str
    sentence: str
    error_before: float | None = None
    error_after: float | None = None
    tried: int = 0

    @property
    def evidence(self) -> str:
        """The experiment in words."""
        if self.error_before is None or self.error_after is None:
            return ""
        before = "cannot be compared" if math.isinf(self.error_before) else f"{self.error_before:.2g}"
        return f"error {before} as it came, {self.error_after:.2g} with that allowed for"
