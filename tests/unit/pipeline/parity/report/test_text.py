"""The report on a terminal and in a log, whole."""

# ruff: noqa: E501  # the reports below are compared as they are, long sentences and all

from __future__ import annotations

import re

import pytest

from pipeline.parity.report.report import Report
from pipeline.parity.report.text import render_text


def test_a_failing_report_at_80_columns(failing: Report) -> None:
    """Otherwise an ordinary terminal would not show what failed."""
    assert render_text(failing, width=80) == FAILING_AT_80


def test_a_passing_report_at_120_columns(passing: Report) -> None:
    """Otherwise the everyday output would drift unseen."""
    assert render_text(passing, width=120) == PASSING_AT_120


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_fits_its_width_and_cuts_nothing(failing: Report, width: int) -> None:
    """Otherwise a figure could lose its last digits."""
    table = render_text(failing, width=width).split("\n\n")[1]
    assert max(map(len, table.splitlines())) <= width
    assert "…" not in table


def test_without_colour_there_are_no_escape_sequences(failing: Report) -> None:
    """Otherwise logs would be full of them."""
    assert "\x1b" not in render_text(failing, width=100)


def test_with_colour_only_escape_sequences_are_added(failing: Report) -> None:
    """Otherwise a terminal would say something else than the log."""
    coloured = render_text(failing, width=100, colour=True)
    assert "\x1b[1;31mFAIL" in coloured
    assert "\x1b[32mPASS" in coloured
    plain = "\n".join(line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines()) + "\n"
    assert plain == render_text(failing, width=100)


FAILING_AT_80 = """\
tiny: 12 samples (the test split); reference Keras 3.15.1, accuracy 91.66 %

target        prec.      size max err    dB  top-1  acc.    ms verdict
saved_model   float32 27.0 kB       0 equal 100.00 91.66 0.125 PASS
edge/litert   float32 27.0 kB     NaN   NaN  91.66 83.33 0.125 FAIL
              int8    27.0 kB       0 equal 100.00 33.33 0.125 INCONCL.
browser/wasm  float16 27.0 kB    0.62   0.3  25.00 25.00 0.125 FAIL
browser/webgl float16 27.0 kB       -     -      -     -     - SKIPPED
browser/cpu   uint8         -       -     -      -     -     - ERROR

edge/litert float32: FAIL
  scores: NaN in 1 of 36 values where the reference has none; first at (5, 2): nan, expected 0.75 [batch size 4]
  scores: the best class changed in 1 of 12 decisions (agreement 91.66 %, at least 100.00 % asked; 0 near ties not counted) [batch size 4]
  scores: accuracy 83.33 %, at least 91.66 % asked (the reference's 91.66 %, of which 0.00 % may be lost) [batch size 4]
  scores: depends on the batch size: right at 1, wrong at 4; largest difference between batch sizes inf [batch size 4]

edge/litert int8: INCONCLUSIVE
  scores: the reference's answers hardly vary over the samples (standard deviation 0), so the same answer to every sample would be within tolerance (atol 0.25, rtol 0.05), or nearly

browser/wasm float16: FAIL
  scores: 18 of 36 values differ; worst at (0, 1): 0.75, expected 0.125 (atol 0.01, rtol 0.001) [batch sizes 1, 4]
  scores: SQNR 0.3 dB, at least 50 dB asked [batch sizes 1, 4]
  scores: the best class changed in 9 of 12 decisions (agreement 25.00 %, at least 99.00 % asked; 0 near ties not counted) [batch sizes 1, 4]
  scores: accuracy 25.00 %, at least 91.20 % asked (the reference's 91.66 %, of which 0.50 % may be lost) [batch sizes 1, 4]

browser/webgl float16: SKIPPED
  this browser has no WebGL

browser/cpu uint8: ERROR
  the converter refused <Erfc>
  at node tiny/erf
  mend: run `tripoint doctor`

accuracy kept: at least 27.27 % of the reference's (browser/wasm float16; 95 %: 10.56 to 70.42 %)
2 of 6 differ from the trained model: edge/litert float32, browser/wasm float16; 1 broke: browser/cpu uint8; 1 inconclusive: edge/litert int8; 1 skipped: browser/webgl float16.
"""

PASSING_AT_120 = """\
tiny: 12 samples (the test split); reference Keras 3.15.1, accuracy 91.66 %

 target        precision     size  max error  SQNR dB  top-1 %  acc. %  ms/sample  verdict
 ─────────────────────────────────────────────────────────────────────────────────────────
 saved_model   float32    27.0 kB          0    equal   100.00   91.66      0.125  PASS
 browser/wasm  float32    27.0 kB     7.2e-7    120.4   100.00   91.66      0.125  PASS

accuracy kept: at least 100.00 % of the reference's (saved_model float32; 95 %: 84.09 to 118.92 %)
note: tfjs float32: loose gate: 24 x what was observed; rtol 1e-5 alone would have passed
All 2 agree with the trained model.
"""
