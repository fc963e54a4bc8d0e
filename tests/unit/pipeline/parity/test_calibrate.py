"""Bounds are proposed from what was observed, with their reason, and never for what looks like a fault."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline import config
from pipeline.core.artifact import Format, Precision
from pipeline.core.outcome import Errored
from pipeline.parity.calibrate import Bounds, Proposal, as_text, as_toml, proposals
from pipeline.parity.comparison import RepeatFigures
from pipeline.parity.figures import ExactFigures, Figures, NumericFigures
from pipeline.parity.intervals import wilson
from pipeline.parity.profile import headroom
from pipeline.parity.report.report import Report
from pipeline.parity.row import Row
from pipeline.parity.status import Pass
from tests.unit.pipeline.parity.report.conftest import recorded, reference, report_of, row


def close(factor: float) -> NDArray[np.float32]:
    return (reference() * np.float32(1 + factor)).astype(np.float32)


def report(*factors: float, samples: NDArray[np.float32] | None = None) -> Report:
    rows = tuple(
        row(f"browser/{place}", Format.TFJS, Precision.FLOAT16, recorded(close(factor)))
        for place, factor in enumerate(factors)
    )
    return report_of(rows, np.zeros((12, 4, 4, 1), np.float32) if samples is None else samples)


def test_the_proposal_is_three_times_the_largest_error_of_all_targets() -> None:
    """Otherwise the second target would fail by the bounds of the first."""
    (found,) = proposals(report(2**-12, 2**-11))
    assert (found.line, found.targets, found.refused) == ("tfjs/float16/scores", 2, None)
    assert found.observed == pytest.approx(0.75 * 2**-11, rel=1e-3)
    assert found.bounds is not None
    assert found.bounds.atol == pytest.approx(3 * 0.75 * 2**-11, rel=0.1)
    assert found.bounds.reason == (
        "calibrated on 2026-11-23: 3 x the largest error of 2 targets on 12 samples (3.7e-4)"
    )
    assert (found.bounds.rtol, found.bounds.top1) == (0.0, 0.99)
    assert found.bounds.sqnr_db is not None
    assert 50 < found.bounds.sqnr_db < 60


def test_nothing_is_proposed_for_a_target_that_differs_or_is_all_equal() -> None:
    """Otherwise calibrating would hide the fault that it meets first."""
    uniform = np.full((12, 3), 1 / 3, np.float32)
    rows = (
        row("saved_model", Format.SAVED_MODEL, Precision.FLOAT32, recorded(reference())),
        row("edge/litert", Format.TFLITE, Precision.FLOAT32, recorded(reference()[:, [1, 0, 2]])),
        row("edge/litert", Format.TFLITE, Precision.INT8, recorded(uniform), want=uniform),
    )
    refused = {
        found.line: found.refused or "" for found in proposals(report_of(rows, np.zeros((12, 4, 4, 1), np.float32)))
    }
    assert refused["tflite/float32/scores"].startswith("edge/litert float32 differs: find the fault first")
    assert refused["tflite/int8/scores"].startswith("edge/litert int8 is inconclusive")
    assert refused["saved_model/float32/scores"].startswith("all answers are equal")


def test_an_error_that_the_precision_does_not_explain_is_not_proposed() -> None:
    """Otherwise a fault within a loose bound would become the bound."""
    loose = report(2**-11)
    (one,) = loose.rows
    predicted = {"scores": msgspec.structs.replace(one.tolerances["scores"], predicted=1e-5)}
    (found,) = proposals(msgspec.structs.replace(loose, rows=(msgspec.structs.replace(one, tolerances=predicted),)))
    assert found.bounds is None
    assert found.refused == (
        "the largest error (3.7e-4) is more than 3 x what the precision explains (1.0e-5): find out why first"
    )


@pytest.mark.parametrize("precision", [Precision.FLOAT16, Precision.INT8])
def test_the_headroom_that_refuses_is_that_of_the_precision(precision: Precision) -> None:
    """Otherwise a range that was calibrated on a few samples would be held to what weights alone explain, or back."""
    one = row("edge/litert", Format.TFLITE, precision, recorded(close(2**-11)))
    observed = 0.75 * 2**-11

    def refused(times: float) -> bool:
        within = msgspec.structs.replace(one.tolerances["scores"], atol=1.0, predicted=observed / times)
        judged = msgspec.structs.replace(one, status=Pass(), tolerances={"scores": within})
        (found,) = proposals(report_of((judged,), np.zeros((12, 4, 4, 1), np.float32)))
        return found.refused is not None

    assert [refused(0.99 * headroom(precision)), refused(1.01 * headroom(precision))] == [
        False,
        True,
    ]


def test_the_noise_of_the_output_itself_counts_and_no_others() -> None:
    """Otherwise a target that does not repeat itself to the bit would fail by its own noise."""
    loose = report(2**-11)
    (one,) = loose.rows
    comparison = one.comparison
    assert comparison is not None

    def repeats(*noises: tuple[str, float | None]) -> Report:
        lines = tuple(
            RepeatFigures(output=output, batch_size=1, asked=3, noise=noise, mixed=None, together=None)
            for output, noise in noises
        )
        compared = msgspec.structs.replace(comparison, repeats=lines)
        return msgspec.structs.replace(loose, rows=(msgspec.structs.replace(one, comparison=compared),))

    (found,) = proposals(repeats(("scores", 1e-5), ("scores", 2e-3), ("boxes", 5.0), ("scores", None)))
    assert found.noise == 2e-3
    assert found.bounds is not None
    assert found.bounds.atol == pytest.approx(6e-3)
    assert found.bounds.reason.endswith("(3.7e-4; noise floor 2.0e-3)")
    (odd,) = proposals(repeats(("scores", math.inf)))
    assert odd.refused == "a target does not repeat itself: NaN comes and goes"


def test_decisions_are_bounded_by_the_interval_of_what_was_seen() -> None:
    """Otherwise a bound on 12 samples would be as sure as one on 12,000."""
    got = close(2**-11)
    got[0] = got[0, [1, 0, 2]]
    one = row("browser/wasm", Format.TFJS, Precision.FLOAT16, recorded(got))
    within = msgspec.structs.replace(
        one.tolerances["scores"], atol=10.0, sqnr_db=None, top1=0.5, accuracy_drop=None, rtol=0.0
    )
    # Judged anew, so that it passes.
    passing = msgspec.structs.replace(one, status=Pass(), tolerances={"scores": within})
    (found,) = proposals(report_of((passing,), np.zeros((12, 4, 4, 1), np.float32)))
    assert found.bounds is not None
    assert found.bounds.top1 == math.floor(wilson(11, 12).low * 1000) / 1000
    assert one.comparison is not None
    figures = [output.figures for batch in one.comparison.batches for output in batch.outputs]
    lowest = min(one.sqnr_db for one in figures if isinstance(one, NumericFigures))
    assert found.bounds.sqnr_db == math.floor(lowest - 20 * math.log10(3))
    (unasked,) = proposals(
        report_of(
            (msgspec.structs.replace(passing, tolerances={"scores": msgspec.structs.replace(within, top1=None)}),),
            np.zeros((12, 4, 4, 1), np.float32),
        )
    )
    assert unasked.bounds is not None
    assert unasked.bounds.top1 == found.bounds.top1


def with_figures(one: Row, figures: Figures) -> Row:
    """The row, as if its output had been measured so at every batch size."""
    comparison = one.comparison
    assert comparison is not None
    batches = tuple(
        msgspec.structs.replace(
            batch, outputs=tuple(msgspec.structs.replace(output, figures=figures) for output in batch.outputs)
        )
        for batch in comparison.batches
    )
    return msgspec.structs.replace(one, comparison=msgspec.structs.replace(comparison, batches=batches))


@pytest.mark.parametrize(("sqnr_db", "floor"), [(60.0, 50), (math.inf, None), (math.nan, None)])
def test_the_noise_floor_is_lowered_by_the_headroom_and_left_out_where_there_is_none(
    sqnr_db: float, floor: int | None
) -> None:
    """Otherwise a bound would be tighter than what was seen, or be no number."""
    one = row("browser/wasm", Format.TFJS, Precision.FLOAT16, recorded(close(2**-11)))
    assert one.comparison is not None
    figures = one.comparison.batches[0].outputs[0].figures
    assert isinstance(figures, NumericFigures)
    within = msgspec.structs.replace(one.tolerances["scores"], top1=0.5)
    measured = msgspec.structs.replace(
        with_figures(one, msgspec.structs.replace(figures, sqnr_db=sqnr_db)), tolerances={"scores": within}
    )
    (found,) = proposals(report_of((measured,), np.zeros((12, 4, 4, 1), np.float32)))
    assert found.bounds is not None
    # Wilson's interval of 12 of 12 decisions begins at 0.7575.
    assert (found.bounds.sqnr_db, found.bounds.top1) == (floor, 0.757)


def test_a_target_that_broke_takes_no_part_and_what_is_no_float_gets_no_bound() -> None:
    """Otherwise one missing runtime would end the calibration, or a label be given a tolerance."""
    broke = row("browser/cpu", Format.TFJS, Precision.FLOAT16, Errored(problem="it broke", hint="mend it"))
    one = row("browser/wasm", Format.TFJS, Precision.FLOAT16, recorded(close(2**-11)))
    samples = np.zeros((12, 4, 4, 1), np.float32)
    (found,) = proposals(report_of((one, broke), samples))
    assert found.observed == pytest.approx(0.75 * 2**-11, rel=1e-3)
    exact = with_figures(one, ExactFigures(elements=12, mismatches=0, varies=True))
    (label,) = proposals(report_of((exact,), samples))
    assert (label.observed, label.refused) == (None, "this output is not of floats: it must be equal")


def test_a_bound_that_is_not_proposed_is_a_dash() -> None:
    """Otherwise nothing would read as a number."""
    proposal = Proposal(
        line="tfjs/uint8/boxes", targets=1, observed=0.04, predicted=None, noise=None, in_force=0.11,
        bounds=Bounds(reason="", atol=0.12, rtol=0.0, sqnr_db=None, top1=None),
    )  # fmt: skip
    assert as_text([proposal]).splitlines()[1].split() == [
        *("tfjs/uint8/boxes", "-", "0.04", "-", "0.11", "0.12", "0", "-", "-"),
    ]


def test_what_was_derived_is_named_and_its_rtol_kept() -> None:
    """Otherwise a user could not weigh what is seen against what was to be expected."""
    loose = report(2**-11)
    (one,) = loose.rows
    within = msgspec.structs.replace(one.tolerances["scores"], predicted=5e-4, rtol=4.8e-7)
    (found,) = proposals(
        msgspec.structs.replace(loose, rows=(msgspec.structs.replace(one, tolerances={"scores": within}),))
    )
    assert (found.predicted, found.in_force) == (5e-4, within.atol)
    assert found.bounds is not None
    assert found.bounds.reason.endswith("on 12 samples (3.7e-4; the precision explains 5.0e-4)")
    assert found.bounds.rtol == 4.8e-7


def test_what_is_written_is_what_the_config_reads(tmp_path: Path) -> None:
    """Otherwise `--write` would write what `run` does not enforce."""
    bounds = Bounds(reason='a "quoted" reason\\', atol=3.7e-3, rtol=4.8e-7, sqnr_db=64.0, top1=0.99)
    (tmp_path / "tolerances.toml").write_text(as_toml({"digits": {"tflite/int8/probabilities": bounds}}))
    (tmp_path / "tripoint.toml").write_text('[tolerances."tflite/int8"]\nreason = "mine"\natol = 1.0\n')
    found = config.load(tmp_path).tolerances_of("digits")
    assert found["tflite/int8/probabilities"].atol == 3.7e-3
    assert found["tflite/int8/probabilities"].reason == bounds.reason
    assert found["tflite/int8"].atol == 1.0
    assert config.load(tmp_path).tolerances_of("other").keys() == {"tflite/int8"}
    assert tomllib.loads(as_toml({})) == {}
    assert as_toml({}) == (
        "# Written by `tripoint calibrate --write`; `tripoint run` and `parity` enforce it. "
        "tripoint.toml goes over it.\n"
    )


def test_the_table_says_what_is_in_force_and_why_something_is_refused() -> None:
    """Otherwise nobody could weigh the proposal."""
    text = as_text(
        [
            Proposal(
                line="tfjs/uint8/scores",
                targets=3,
                observed=0.04,
                predicted=0.036,
                noise=0.0,
                in_force=0.11,
                bounds=Bounds(reason="", atol=0.12, rtol=4.8e-7, sqnr_db=37.0, top1=0.97),
            ),
            Proposal(
                line="tflite/int8/scores",
                targets=1,
                observed=0.5,
                predicted=0.05,
                noise=None,
                in_force=0.15,
                refused="no",
            ),
        ]
    )
    assert text == TABLE


TABLE = """\
line                predicted  observed  noise  atol now  atol    rtol  SQNR dB  top-1
tfjs/uint8/scores       0.036      0.04      0      0.11  0.12  4.8e-7       37   0.97
tflite/int8/scores       0.05       0.5      -      0.15     -       -        -      -
tflite/int8/scores: no"""
