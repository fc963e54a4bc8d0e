"""Every rendering shows the probable cause of a line that fails."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.parity.diagnosis import UNKNOWN, Diagnosis
from pipeline.parity.report.report import Report
from pipeline.parity.report.report_json import render_json, report_from_json
from pipeline.parity.report.write import FORMS
from pipeline.parity.status import Fail

CAUSE = Diagnosis(
    cause="classes_permuted",
    sentence="classes disc and square are swapped",
    error_before=1.25,
    error_after=3e-7,
    tried=21,
)


def diagnosed(report: Report, diagnosis: Diagnosis) -> Report:
    rows = tuple(
        msgspec.structs.replace(row, diagnosis=diagnosis if isinstance(row.status, Fail) else None)
        for row in report.rows
    )
    return msgspec.structs.replace(report, rows=rows)


@pytest.mark.parametrize("form", ["text", "markdown", "junit", "html", "json"])
def test_every_form_names_the_cause_and_its_evidence(failing: Report, form: str) -> None:
    shown = FORMS[form](diagnosed(failing, CAUSE))
    assert "classes disc and square are swapped" in shown
    if form != "json":
        assert "1.2" in shown
        assert "3e-07" in shown


def test_an_unknown_cause_says_what_was_tried(failing: Report) -> None:
    unknown = Diagnosis(cause=UNKNOWN, sentence="no known cause fits", error_before=1.0, error_after=1.0, tried=1)
    assert "no known cause fits (1 experiment)" in FORMS["text"](diagnosed(failing, unknown))


def test_the_diagnosis_survives_json(failing: Report) -> None:
    read = report_from_json(render_json(diagnosed(failing, CAUSE)))
    assert {row.diagnosis for row in read.rows if isinstance(row.status, Fail)} == {CAUSE}
