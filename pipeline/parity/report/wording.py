"""Numbers and statuses in the words that all renderings share."""

from __future__ import annotations

import math
from typing import assert_never

from pipeline.parity.diagnosis import UNKNOWN, Diagnosis
from pipeline.parity.figures import Agreement
from pipeline.parity.findings import Finding, percent
from pipeline.parity.intervals import Interval
from pipeline.parity.status import Error, Fail, Inconclusive, Pass, Skip, Status
from pipeline.parity.values import Scalar

ABSENT = "-"


def error(value: float | None) -> str:
    """Two significant digits: `1.3e-7`, `0.011`, `0`."""
    if value is None:
        return ABSENT
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf"
    if 0.01 <= value < 100:
        return f"{value:.2g}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits}e{int(exponent)}"


def decibels(value: float | None) -> str:
    return ABSENT if value is None else "equal" if value == math.inf else "NaN" if math.isnan(value) else f"{value:.1f}"


def share(value: float | None) -> str:
    """Percent without its sign, for columns that have it in their heading."""
    return ABSENT if value is None else percent(value).removesuffix(" %")


def kind(finding: Finding) -> str:
    """What kind of finding it is, in a few words: `not repeated`, `depends on clients`."""
    return str(finding.__struct_config__.tag).replace("_", " ")


def agreement(found: Agreement) -> str:
    """`99.72 % (95 %: 98.44 to 99.95 %)`."""
    return f"{percent(found.agreed / found.of)} (95 %: {interval(found.interval)})"


def interval(found: Interval) -> str:
    """Of a share or a ratio, in percent: `98.44 to 99.95 %`."""
    high = "inf" if math.isinf(found.high) else f"{100 * found.high:.2f}"
    return f"{100 * found.low:.2f} to {high} %"


def points(found: Interval) -> str:
    """Of a difference of shares, in percentage points, signed."""
    return f"95 %: {100 * found.low:+.2f} to {100 * found.high:+.2f}"


def steps(count: float) -> str:
    """A number of units in the last place: whole, or rounded when it is large."""
    return f"{int(count):,}" if count < 1e6 else error(count)


def noise(largest: float | None) -> str:
    """How far an answer was from the first one: `equal`, `1.2e-7`, `not tried`."""
    return "not tried" if largest is None else "equal" if largest == 0 else error(largest)


def milliseconds(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def size(value: int | None) -> str:
    """Decimal units, as file managers and download sizes have them."""
    if value is None:
        return ABSENT
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            scaled = value / factor
            return f"{scaled:.1f} {unit}" if scaled < 100 else f"{scaled:.0f} {unit}"
    return f"{value} B"


def explained(status: Status) -> list[str]:
    """What a person needs to know about a status beyond its word, a sentence an entry; nothing for a pass."""
    match status:
        case Pass():
            return []
        case Fail(findings=findings):
            return [found.sentence for found in findings]
        case Skip(reason=reason):
            return [reason]
        case Error(problem=problem, hint=hint):
            return [problem, f"mend: {hint}"]
        case Inconclusive(reason=reason):
            return [reason]
        case _:
            assert_never(status)


def probable_cause(diagnosis: Diagnosis | None) -> list[str]:
    """What was found out about the cause, in one sentence with its evidence; nothing when none was looked for."""
    if diagnosis is None:
        return []
    if diagnosis.cause == UNKNOWN:
        return [f"cause: {diagnosis.sentence} ({counted(diagnosis.tried, 'experiment')})"]
    evidence = f" ({diagnosis.evidence})" if diagnosis.evidence else ""
    return [f"probable cause, {diagnosis.cause}: {diagnosis.sentence}{evidence}"]


def used(tolerance_used: float) -> str:
    """How much of the tolerance the largest error uses: `4 % of tolerance`, `81 x tolerance`."""
    if not math.isfinite(tolerance_used):
        return "beyond any tolerance"
    if tolerance_used > 1:
        return f"{tolerance_used:.3g} x tolerance" if tolerance_used < 1000 else f"{error(tolerance_used)} x tolerance"
    percent = tolerance_used * 100
    return f"{percent:.0f} % of tolerance" if percent >= 1 or percent == 0 else "below 1 % of tolerance"


def value(plain: Scalar) -> str:
    """One element of an answer, six significant digits of a float."""
    return f"{plain:.6g}" if isinstance(plain, float) else str(plain)


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
