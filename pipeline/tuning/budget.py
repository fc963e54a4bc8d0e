"""What a variant may lose: `top1>=0.99*ref`, `agreement>=0.98`, `sqnr>=40`, `error<=1.05*ref`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pipeline.core.errors import UsageError

Metric: TypeAlias = Literal["top1", "agreement", "sqnr", "error"]

_FORM = re.compile(r"\s*(top1|agreement|sqnr|error)\s*(>=|<=)\s*(\d+(?:\.\d+)?)\s*(\*\s*ref)?\s*")
_EXAMPLES = "as in top1>=0.99*ref, agreement>=0.98, sqnr>=40 or error<=1.05*ref"
# Quotients of counts: a share times a share may round to just above what it allows.
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How good a variant's answers are, at its worst batch size.

    `top1` is the share of right answers and `agreement` that of answers as the reference's; None without labels, or
    without scores. `sqnr_db` is the lowest of all float outputs, None when there is none. `errors` are the mean
    absolute errors of outputs that are to meet given values, `reference_errors` the reference's.
    """

    top1: float | None
    reference_top1: float | None
    agreement: float | None
    sqnr_db: float | None
    errors: Mapping[str, float] = field(default_factory=dict)
    reference_errors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """One bound: on `top1`, `agreement` and `sqnr` (dB) from below, on `error` from above, of every output.

    `of_reference` makes the bound a multiple of what the reference has.
    """

    metric: Metric
    bound: float
    of_reference: bool

    @property
    def text(self) -> str:
        sign = "<=" if self.metric == "error" else ">="
        return f"{self.metric}{sign}{self.bound:g}{'*ref' if self.of_reference else ''}"

    def met_by(self, quality: Quality) -> bool:
        """Whether the bound holds. Raises UsageError when the model has nothing that it could hold for."""
        match self.metric:
            case "top1":
                return self._at_least(self._known(quality.top1, "labels"), quality.reference_top1 or 0.0)
            case "agreement":
                return self._at_least(self._known(quality.agreement, "scores of classes"), 1.0)
            case "sqnr":
                return self._at_least(self._known(quality.sqnr_db, "float outputs"), 1.0)
            case "error":
                if not quality.errors:
                    self._known(None, "outputs that are to meet given values")
                return all(
                    error <= self.bound * (quality.reference_errors[name] if self.of_reference else 1.0) + _ROUNDING
                    for name, error in quality.errors.items()
                )

    def _at_least(self, value: float, reference: float) -> bool:
        return value >= self.bound * (reference if self.of_reference else 1.0) - _ROUNDING

    def _known(self, value: float | None, what: str) -> float:
        if value is None:
            raise UsageError(f"budget {self.text}: the model has no {what}", hint=f"take another, {_EXAMPLES}")
        return value


def parsed(text: str) -> Budget:
    """The budget that a text says. Raises UsageError for one that cannot be."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise UsageError(f"--budget {text!r} cannot be read", hint=_EXAMPLES)
    metric: Metric = found[1]  # type: ignore[assignment]  # the pattern knows no other
    sign, bound, relative = found[2], found[3], found[4]
    if (sign == "<=") != (metric == "error"):
        raise UsageError(f"--budget {text!r}: {metric} is bounded the other way", hint=_EXAMPLES)
    if relative and metric in ("agreement", "sqnr"):
        raise UsageError(f"--budget {text!r}: the reference has no {metric} of its own", hint=_EXAMPLES)
    if metric in ("top1", "agreement") and not relative and float(bound) > 1:
        raise UsageError(
            f"--budget {text!r}: {metric} is a share, 1 at most", hint=f"write 98 percent as {metric}>=0.98"
        )
    return Budget(metric=metric, bound=float(bound), of_reference=relative is not None)
