"""The report as JUnit XML, whole, and readable as XML."""

# ruff: noqa: E501  # the report below is compared as it is, long sentences and all

from __future__ import annotations

from xml.etree import ElementTree as ET

import msgspec

from pipeline.parity.report.junit import render_junit
from pipeline.parity.report.report import Report
from pipeline.parity.status import Error


def test_a_failing_report(failing: Report) -> None:
    """Otherwise a CI system would count wrong."""
    assert render_junit(failing) == FAILING


def test_every_line_of_the_report_is_a_test_case_and_no_doubt_reads_as_a_pass(failing: Report) -> None:
    """Otherwise CI would show fewer targets, or greener ones, than there were."""
    suite = ET.fromstring(render_junit(failing))  # noqa: S314  # our own text
    verdicts = [[child.tag for child in case if child.tag != "system-out"] for case in suite]
    assert verdicts == [[], ["failure"], ["failure"], ["failure"], ["skipped"], ["error"]]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6",
        "failures": "3",
        "errors": "1",
        "skipped": "1",
    }


def test_what_xml_cannot_hold_is_replaced(failing: Report) -> None:
    """Otherwise a crash that prints control characters would leave a file that CI cannot read."""
    broken = msgspec.structs.replace(failing.rows[0], status=Error(problem="\x1b[31mdied\x00 ]]> <&", hint="none"))
    text = render_junit(msgspec.structs.replace(failing, rows=(broken,)))
    error = ET.fromstring(text).find("testcase/error")  # noqa: S314  # our own text
    assert error is not None
    assert error.text == "\ufffd[31mdied\ufffd ]]> <&\nmend: none"


FAILING = """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="tripoint tiny" timestamp="2026-11-23T05:30:00" tests="6" failures="3" errors="1" skipped="1" time="4.500">
 <testcase classname="tiny.saved_model" name="float32" time="0.002">
  <system-out>max error 0, SQNR equal dB, top-1 100.00 %, accuracy 91.66 %</system-out>
 </testcase>
 <testcase classname="tiny.edge/litert" name="float32" time="0.002">
  <failure type="differs" message="scores: NaN in 1 of 36 values where the reference has none; first at (5, 2): nan, expected 0.75 [batch size 4]">scores: NaN in 1 of 36 values where the reference has none; first at (5, 2): nan, expected 0.75 [batch size 4]
scores: the best class changed in 1 of 12 decisions (agreement 91.66 %, at least 100.00 % asked; 0 near ties not counted) [batch size 4]
scores: accuracy 83.33 %, at least 91.66 % asked (the reference's 91.66 %, of which 0.00 % may be lost) [batch size 4]
scores: depends on the batch size: right at 1, wrong at 4; largest difference between batch sizes inf [batch size 4]</failure>
  <system-out>max error NaN, SQNR NaN dB, top-1 91.66 %, accuracy 83.33 %</system-out>
 </testcase>
 <testcase classname="tiny.edge/litert" name="int8" time="0.002">
  <failure type="inconclusive" message="scores: the reference's answers hardly vary over the samples (standard deviation 0), so the same answer to every sample would be within tolerance (atol 0.25, rtol 0.05), or nearly">scores: the reference's answers hardly vary over the samples (standard deviation 0), so the same answer to every sample would be within tolerance (atol 0.25, rtol 0.05), or nearly</failure>
  <system-out>max error 0, SQNR equal dB, top-1 100.00 %, accuracy 33.33 %</system-out>
 </testcase>
 <testcase classname="tiny.browser/wasm" name="float16" time="0.002">
  <failure type="differs" message="scores: 18 of 36 values differ; worst at (0, 1): 0.75, expected 0.125 (atol 0.01, rtol 0.001) [batch sizes 1, 4]">scores: 18 of 36 values differ; worst at (0, 1): 0.75, expected 0.125 (atol 0.01, rtol 0.001) [batch sizes 1, 4]
scores: SQNR 0.3 dB, at least 50 dB asked [batch sizes 1, 4]
scores: the best class changed in 9 of 12 decisions (agreement 25.00 %, at least 99.00 % asked; 0 near ties not counted) [batch sizes 1, 4]
scores: accuracy 25.00 %, at least 91.20 % asked (the reference's 91.66 %, of which 0.50 % may be lost) [batch sizes 1, 4]</failure>
  <system-out>max error 0.62, SQNR 0.3 dB, top-1 25.00 %, accuracy 25.00 %</system-out>
 </testcase>
 <testcase classname="tiny.browser/webgl" name="float16" time="0.000">
  <skipped message="this browser has no WebGL" />
 </testcase>
 <testcase classname="tiny.browser/cpu" name="uint8" time="0.000">
  <error type="broke" message="the converter refused &lt;Erfc&gt;">the converter refused &lt;Erfc&gt;
at node tiny/erf
mend: run `tripoint doctor`</error>
 </testcase>
</testsuite>
"""
