"""Beside the report lie the worst samples of each line and every flip, to be loaded again."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from pipeline import evidence
from pipeline.core.artifact import Format, Precision
from pipeline.golden import Golden, load_tensors
from pipeline.parity.row import Row, row_of
from pipeline.parity.tolerances import tolerances_for
from tests.unit.pipeline.parity.report.conftest import LABELS, SIGNATURE, recorded, reference, report_of, row

SAMPLES = np.random.default_rng(0).random((12, 4, 4, 1), dtype=np.float32)


def test_the_worst_samples_are_kept_with_inputs_and_both_answers(tmp_path: Path) -> None:
    """Otherwise a person would have to run everything again to look at one sample."""
    wrong = reference()
    wrong[[7, 3]] = 0.0, 1.0, 0.0
    wrong[7] = 1.0
    right = row("saved_model", Format.SAVED_MODEL, Precision.FLOAT32, recorded(reference()))
    bad = row("browser/wasm", Format.TFJS, Precision.FLOAT16, recorded(reference(), large_batches=wrong))
    report = report_of(tuple(map(evidence.named, (right, bad))), SAMPLES)
    assert [one.worst_file for one in report.rows] == [None, "worst/browser-wasm-float16.safetensors"]
    kept = Golden(inputs={"image": SAMPLES}, reference={"scores": reference()}, labels=LABELS)
    recordings = {bad.label: recorded(reference(), large_batches=wrong)}
    evidence.write(report, recordings, kept, tmp_path)
    found = load_tensors(tmp_path / "worst/browser-wasm-float16.safetensors")
    assert set(found["samples"]) == {3, 7}
    np.testing.assert_array_equal(found["inputs/image"], SAMPLES[found["samples"]])
    np.testing.assert_array_equal(found["answers/scores"], wrong[found["samples"]])
    np.testing.assert_array_equal(found["reference/scores"], reference()[found["samples"]])
    with safe_open(tmp_path / "worst/browser-wasm-float16.safetensors", "np") as file:
        assert file.metadata() | {"artifact": ""} == {
            "target": "browser/wasm",
            "precision": "float16",
            "batch_size": "4",
            "output": "scores",
            "artifact": "",
        }


def test_every_flip_is_kept_when_the_report_cannot_list_them_all(tmp_path: Path) -> None:
    """Otherwise the twenty-first would be gone."""
    want = np.tile(reference(), (4, 1))
    got = want[:, [1, 0, 2]]
    line = evidence.named(large_row(want, got))
    assert line.flips_file == "flips/browser-wasm-float16.csv"
    report = report_of((line,), np.tile(SAMPLES, (4, 1, 1, 1)))
    kept = Golden(inputs={"image": np.tile(SAMPLES, (4, 1, 1, 1))}, reference={"scores": want}, labels=None)
    evidence.write(report, {line.label: recorded(got)}, kept, tmp_path)
    with (tmp_path / "flips/browser-wasm-float16.csv").open() as file:
        flips = list(csv.DictReader(file))
    assert len(flips) == 2 * np.count_nonzero(want.argmax(1) != got.argmax(1))
    assert flips[0] == {
        "batch_size": "1",
        "output": "scores",
        "sample": "0",
        "place": "",
        "reference": "0",
        "target": "1",
        "margin": "0.625",
        "near_tie": "0",
    }


def large_row(want: NDArray[np.float32], got: NDArray[np.float32]) -> Row:
    return row_of(
        recorded(got),
        target="browser/wasm",
        format=Format.TFJS,
        precision=Precision.FLOAT16,
        artifact=None,
        reference={"scores": want},
        signature=SIGNATURE,
        tolerances=tolerances_for(Format.TFJS, Precision.FLOAT16, {}, outputs=("scores",)),
        scores_output="scores",
    )
