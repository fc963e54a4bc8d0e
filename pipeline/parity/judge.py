"""From the lines of a report to its verdict, its exit status and the one sentence that says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.core.errors import ExitStatus
from pipeline.parity.row import Row
from pipeline.parity.status import Word, word
from pipeline.parity.values import Value

_NAMED = 6
_SPOILING: frozenset[Word] = frozenset({"FAIL", "ERROR", "INCONCLUSIVE"})
_OTHERS: Mapping[Word, str] = {"ERROR": "broke", "INCONCLUSIVE": "inconclusive", "SKIPPED": "skipped"}


class Verdict(Value, frozen=True):
    """Lines by what became of them, as `target precision`. `skips_fail` is whether a skipped line spoils agreement."""

    agrees: bool
    exit_status: ExitStatus
    headline: str
    passed: tuple[str, ...]
    differing: tuple[str, ...]
    errored: tuple[str, ...]
    inconclusive: tuple[str, ...]
    skipped: tuple[str, ...]
    skips_fail: bool = False


def judge(rows: Sequence[Row], *, skips_fail: bool = False) -> Verdict:
    """Agreement only if something was compared, and nothing differed, broke or stayed inconclusive.

    The exit status is 10 when something differs; else 3 when something broke, stayed inconclusive, was skipped although
    `skips_fail`, or nothing was compared; else 0.
    """
    labels: dict[Word, list[str]] = {}
    for row in rows:
        labels.setdefault(word(row.status), []).append(row.label)
    spoiled = labels.keys() & (_SPOILING | {"SKIPPED"} if skips_fail else _SPOILING)
    agrees = "PASS" in labels and not spoiled
    disagrees = ExitStatus.DISAGREES if "FAIL" in labels else ExitStatus.ENVIRONMENT
    return Verdict(
        agrees=agrees,
        exit_status=ExitStatus.AGREES if agrees else disagrees,
        headline=_headline(len(rows), labels),
        passed=tuple(labels.get("PASS", ())),
        differing=tuple(labels.get("FAIL", ())),
        errored=tuple(labels.get("ERROR", ())),
        inconclusive=tuple(labels.get("INCONCLUSIVE", ())),
        skipped=tuple(labels.get("SKIPPED", ())),
        skips_fail=skips_fail,
    )


def _headline(total: int, labels: Mapping[Word, Sequence[str]]) -> str:
    if total == 0:
        return "Nothing was compared: there is no target."
    differing, passed = labels.get("FAIL", ()), len(labels.get("PASS", ()))
    if differing:
        verb = "differs" if len(differing) == 1 else "differ"
        first = f"{len(differing)} of {total} {verb} from the trained model: {_named(differing)}"
    elif passed == 0:
        first = f"None of {total} was shown to agree with the trained model"
    elif passed == total:
        first = (
            f"All {total} agree with the trained model" if total > 1 else "The one target agrees with the trained model"
        )
    else:
        first = f"{passed} of {total} agree with the trained model and none differs"
    others = [f"{len(labels[key])} {what}: {_named(labels[key])}" for key, what in _OTHERS.items() if key in labels]
    return "; ".join([first, *others]) + "."


def _named(labels: Sequence[str]) -> str:
    listed = ", ".join(labels[:_NAMED])
    return listed if len(labels) <= _NAMED else f"{listed} and {len(labels) - _NAMED} more"
