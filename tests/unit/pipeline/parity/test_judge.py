"""The verdict: agreement only when something was compared and nothing speaks against it."""

from __future__ import annotations

import pytest

from pipeline.core.artifact import Format, Precision
from pipeline.core.errors import ExitStatus
from pipeline.parity.judge import judge
from pipeline.parity.row import Row
from pipeline.parity.status import Error, Fail, Inconclusive, Pass, Skip, Status

FAIL = Fail(findings=())
ERROR = Error(problem="it broke", hint="mend it")
SKIP = Skip(reason="not here")
DOUBT = Inconclusive(reason="it hardly varies")


def rows(*statuses: Status) -> list[Row]:
    return [
        Row(target=f"target/{position}", format=Format.TFLITE, precision=Precision.INT8, status=status, tolerances={})
        for position, status in enumerate(statuses, start=1)
    ]


@pytest.mark.parametrize(
    ("statuses", "exit_status", "headline"),
    [
        ([Pass(), Pass()], ExitStatus.AGREES, "All 2 agree with the trained model."),
        ([Pass()], ExitStatus.AGREES, "The one target agrees with the trained model."),
        (
            [Pass(), SKIP],
            ExitStatus.AGREES,
            "1 of 2 agree with the trained model and none differs; 1 skipped: target/2 int8.",
        ),
        ([Pass(), FAIL], ExitStatus.DISAGREES, "1 of 2 differs from the trained model: target/2 int8."),
        (
            [FAIL, ERROR, DOUBT, FAIL],
            ExitStatus.DISAGREES,
            (
                "2 of 4 differ from the trained model: target/1 int8, target/4 int8; 1 broke: target/2 int8; "
                "1 inconclusive: target/3 int8."
            ),
        ),
        (
            [Pass(), ERROR],
            ExitStatus.ENVIRONMENT,
            "1 of 2 agree with the trained model and none differs; 1 broke: target/2 int8.",
        ),
        (
            [Pass(), DOUBT],
            ExitStatus.ENVIRONMENT,
            "1 of 2 agree with the trained model and none differs; 1 inconclusive: target/2 int8.",
        ),
        (
            [SKIP, SKIP],
            ExitStatus.ENVIRONMENT,
            "None of 2 was shown to agree with the trained model; 2 skipped: target/1 int8, target/2 int8.",
        ),
        ([], ExitStatus.ENVIRONMENT, "Nothing was compared: there is no target."),
    ],
    ids=["all", "one", "skip", "fail", "everything", "error", "doubt", "only-skips", "nothing"],
)
def test_verdict(statuses: list[Status], exit_status: ExitStatus, headline: str) -> None:
    """Otherwise a CI gate would open, or stay shut, for the wrong reason."""
    verdict = judge(rows(*statuses))
    assert (verdict.exit_status, verdict.headline) == (exit_status, headline)
    assert verdict.agrees == (exit_status is ExitStatus.AGREES)


def test_only_skips_is_not_a_pass() -> None:
    """Otherwise a machine without any runtime would prove agreement."""
    assert not judge(rows(SKIP, SKIP, SKIP)).agrees


def test_strictness_makes_a_skip_spoil_agreement() -> None:
    """Otherwise CI could not ask for a report with no holes in it."""
    assert judge(rows(Pass(), SKIP)).agrees
    strict = judge(rows(Pass(), SKIP), skips_fail=True)
    assert (strict.agrees, strict.exit_status) == (False, ExitStatus.ENVIRONMENT)
    assert judge(rows(Pass(), Pass()), skips_fail=True).agrees


def test_a_long_list_of_targets_is_cut_and_counted() -> None:
    """Otherwise the one sentence would not be one."""
    assert judge(rows(*[FAIL] * 9)).headline.endswith("target/6 int8 and 3 more.")
    assert judge(rows(*[FAIL] * 6)).headline.endswith("target/5 int8, target/6 int8.")


def test_every_target_is_listed_under_what_became_of_it() -> None:
    """Otherwise a report could not be filtered by what went wrong."""
    verdict = judge(rows(SKIP, Pass(), FAIL, ERROR, DOUBT, Pass()), skips_fail=True)
    assert verdict.passed == ("target/2 int8", "target/6 int8")
    assert (verdict.differing, verdict.errored) == (("target/3 int8",), ("target/4 int8",))
    assert (verdict.inconclusive, verdict.skipped) == (("target/5 int8",), ("target/1 int8",))
    assert verdict.skips_fail
    nothing = judge([])
    assert {nothing.passed, nothing.differing, nothing.errored, nothing.inconclusive, nothing.skipped} == {()}
    assert nothing.skips_fail is False
