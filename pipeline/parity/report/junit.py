"""The report as JUnit XML: one test case a target and precision, as CI systems read it."""

from __future__ import annotations

import re
from typing import assert_never
from xml.etree import ElementTree as ET

from pipeline.parity.report import wording
from pipeline.parity.report.report import Report
from pipeline.parity.report.summary import summary_of
from pipeline.parity.row import Row
from pipeline.parity.status import Error, Fail, Inconclusive, Pass, Skip

# What XML 1.0 cannot hold, not even escaped; a runtime's last words may contain it.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: Report) -> str:
    """JUnit XML. What is inconclusive is a failure here: JUnit has no word for it, and it must not read as a pass."""
    verdict = report.verdict
    suite = ET.Element(
        "testsuite",
        name=f"tripoint {report.model.name}",
        timestamp=report.provenance.made_at.removesuffix("Z"),
        tests=str(len(report.rows)),
        failures=str(len(verdict.differing) + len(verdict.inconclusive)),
        errors=str(len(verdict.errored)),
        skipped=str(len(verdict.skipped)),
        time=f"{sum(stage.seconds for stage in report.stages):.3f}",
    )
    for row in report.rows:
        _add_case(suite, report, row)
    ET.indent(suite, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _add_case(suite: ET.Element, report: Report, row: Row) -> None:
    summary = summary_of(row)
    seconds = (summary.milliseconds or 0.0) * report.samples.count / 1000
    case = ET.SubElement(
        suite, "testcase", classname=f"{report.model.name}.{row.target}", name=str(row.precision), time=f"{seconds:.3f}"
    )
    text = _clean("\n".join([*wording.explained(row.status), *wording.probable_cause(row.diagnosis)]))
    first = text.partition("\n")[0]
    match row.status:
        case Pass():
            pass
        case Fail():
            ET.SubElement(case, "failure", type="differs", message=first).text = text
        case Inconclusive():
            ET.SubElement(case, "failure", type="inconclusive", message=first).text = text
        case Skip():
            ET.SubElement(case, "skipped", message=first)
        case Error():
            ET.SubElement(case, "error", type="broke", message=first).text = text
        case _:
            assert_never(row.status)
    if row.comparison is not None:
        ET.SubElement(case, "system-out").text = (
            f"max error {wording.error(summary.max_error)}, SQNR {wording.decibels(summary.sqnr_db)} dB, "
            f"top-1 {wording.share(summary.top1_agreement)} %, accuracy {wording.share(summary.accuracy)} %"
        )


def _clean(text: str) -> str:
    return _NOT_XML.sub("�", text)
