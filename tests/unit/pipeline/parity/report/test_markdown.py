"""The report as Markdown, whole."""

# ruff: noqa: E501  # the report below is compared as it is, long sentences and all

from __future__ import annotations

import msgspec

from pipeline.parity.report.markdown import render_markdown
from pipeline.parity.report.report import Report


def test_a_failing_report(failing: Report) -> None:
    """Otherwise the summary page of a CI job would drift unseen."""
    assert render_markdown(failing) == FAILING


def test_markup_in_what_a_runtime_says_stays_text(failing: Report) -> None:
    """Otherwise an error message could break the table, or inject HTML into a review."""
    model = msgspec.structs.replace(failing.model, name="a|b <script>`*_")
    text = render_markdown(msgspec.structs.replace(failing, model=model))
    assert "a\\|b &lt;script>\\`\\*\\_" in text


FAILING = """\
## ❌ tiny: 2 of 6 differ from the trained model: edge/litert float32, browser/wasm float16; 1 broke: browser/cpu uint8; 1 inconclusive: edge/litert int8; 1 skipped: browser/webgl float16.

| target | precision | size | max error | SQNR dB | top-1 % | accuracy % | ms/sample | verdict |
|:--|:--|--:|--:|--:|--:|--:|--:|:--|
| saved\\_model | float32 | 27.0 kB | 0 | equal | 100.00 | 91.66 | 0.125 | ✅ PASS |
| edge/litert | float32 | 27.0 kB | NaN | NaN | 91.66 | 83.33 | 0.125 | ❌ FAIL |
| edge/litert | int8 | 27.0 kB | 0 | equal | 100.00 | 33.33 | 0.125 | ❔ INCONCLUSIVE |
| browser/wasm | float16 | 27.0 kB | 0.62 | 0.3 | 25.00 | 25.00 | 0.125 | ❌ FAIL |
| browser/webgl | float16 | 27.0 kB | - | - | - | - | - | ⏭️ SKIPPED |
| browser/cpu | uint8 | - | - | - | - | - | - | 💥 ERROR |

**edge/litert float32**: FAIL
- scores: NaN in 1 of 36 values where the reference has none; first at (5, 2): nan, expected 0.75 [batch size 4]
- scores: the best class changed in 1 of 12 decisions (agreement 91.66 %, at least 100.00 % asked; 0 near ties not counted) [batch size 4]
- scores: accuracy 83.33 %, at least 91.66 % asked (the reference's 91.66 %, of which 0.00 % may be lost) [batch size 4]
- scores: depends on the batch size: right at 1, wrong at 4; largest difference between batch sizes inf [batch size 4]

**edge/litert int8**: INCONCLUSIVE
- scores: the reference's answers hardly vary over the samples (standard deviation 0), so the same answer to every sample would be within tolerance (atol 0.25, rtol 0.05), or nearly

**browser/wasm float16**: FAIL
- scores: 18 of 36 values differ; worst at (0, 1): 0.75, expected 0.125 (atol 0.01, rtol 0.001) [batch sizes 1, 4]
- scores: SQNR 0.3 dB, at least 50 dB asked [batch sizes 1, 4]
- scores: the best class changed in 9 of 12 decisions (agreement 25.00 %, at least 99.00 % asked; 0 near ties not counted) [batch sizes 1, 4]
- scores: accuracy 25.00 %, at least 91.20 % asked (the reference's 91.66 %, of which 0.50 % may be lost) [batch sizes 1, 4]

**browser/webgl float16**: SKIPPED
- this browser has no WebGL

**browser/cpu uint8**: ERROR
- the converter refused &lt;Erfc>
- at node tiny/erf
- mend: run \\`tripoint doctor\\`

12 samples (the test split); reference Keras 3.15.1, accuracy 91.66 %; 2026-11-23T05:30:00Z
"""
