"""A small report with every status in it, all its figures measured from arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.outcome import Errored, Outcome, Recording, Skipped
from pipeline.core.signature import Signature, TensorSpec
from pipeline.core.target import RuntimeInfo
from pipeline.parity.judge import judge
from pipeline.parity.report.report import (
    ModelFacts,
    Provenance,
    Reference,
    Report,
    Samples,
    StageTiming,
    TensorFacts,
)
from pipeline.parity.report.shown import shown_samples
from pipeline.parity.row import Row, row_of
from pipeline.parity.tolerances import tolerances_for

SIGNATURE = Signature(
    name="serving_default",
    inputs=(TensorSpec(name="image", dtype="float32", shape=(None, 4, 4, 1)),),
    outputs=(TensorSpec(name="scores", dtype="float32", shape=(None, 3)),),
)
LABELS = np.arange(12) % 3


def reference() -> NDArray[np.float32]:
    """Scores [12, 3], of which the last sample's is wrong."""
    scores = np.full((12, 3), 0.125, np.float32)
    scores[np.arange(12), LABELS] = 0.75
    scores[11] = (0.5, 0.25, 0.25)
    return scores


def recorded(scores: NDArray[np.float32], large_batches: NDArray[np.float32] | None = None) -> Recording:
    outputs = {1: {"scores": scores}, 4: {"scores": scores if large_batches is None else large_batches}}
    return Recording(
        info=RuntimeInfo(runtime="fake", version="1.0", details={"threads": "1"}),
        outputs=outputs,
        milliseconds_per_sample={1: 0.5, 4: 0.125},
    )


def row(
    target: str,
    consumes: Format,
    precision: Precision,
    outcome: Outcome,
    *,
    want: NDArray[np.float32] | None = None,
    made: bool = True,
) -> Row:
    artifact = Artifact(
        model="tiny",
        format=consumes,
        precision=precision,
        path=Path("artifact"),
        signature=SIGNATURE,
        digest="ab" * 32,
        made_from="cd" * 32,
        size_bytes=27_000,
    )
    return row_of(
        outcome,
        target=target,
        format=consumes,
        precision=precision,
        artifact=artifact if made else None,
        reference={"scores": reference() if want is None else want},
        signature=SIGNATURE,
        tolerances=tolerances_for(consumes, precision, {}, outputs=("scores",)),
        labels=LABELS,
        scores_output="scores",
    )


def report_of(rows: tuple[Row, ...], samples: NDArray[Any]) -> Report:
    return Report(
        model=ModelFacts(
            name="tiny",
            summary="three shapes, <4x4> images",
            inputs=(TensorFacts(name="image", dtype="float32", shape=(None, 4, 4, 1)),),
            outputs=(TensorFacts(name="scores", dtype="float32", shape=(None, 3)),),
            scores_output="scores",
            classes=("disc", "square", "cross"),
        ),
        reference=Reference(runtime="Keras", version="3.15.1", digest="cd" * 32, accuracy=11 / 12),
        samples=Samples(
            description="the test split",
            count=12,
            shown=shown_samples(rows, {"image": samples}, labels=LABELS),
        ),
        rows=rows,
        verdict=judge(rows),
        provenance=Provenance(
            made_at="2026-11-23T05:30:00Z",
            machine={"system": "Debian 12"},
            versions={"tensorflow": "2.21.0"},
            seeds={"training": 0},
            digests={},
        ),
        stages=(StageTiming(stage="train", seconds=4.0), StageTiming(stage="export", seconds=0.5, reused=True)),
    )


@pytest.fixture
def samples() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((12, 4, 4, 1), dtype=np.float32)


@pytest.fixture
def passing(samples: NDArray[np.float32]) -> Report:
    """A report in which both targets agree, one of them exactly."""
    close = reference() * np.float32(1 + 2**-20)
    return report_of(
        (
            row("saved_model", Format.SAVED_MODEL, Precision.FLOAT32, recorded(reference())),
            row("browser/wasm", Format.TFJS, Precision.FLOAT32, recorded(close)),
        ),
        samples,
    )


@pytest.fixture
def failing(samples: NDArray[np.float32]) -> Report:
    """A report with every status."""
    swapped, nan, uniform = reference()[:, [1, 0, 2]], reference(), reference()
    nan[5, 2] = np.nan
    uniform[:] = 1 / 3
    doubtful = row("edge/litert", Format.TFLITE, Precision.INT8, recorded(uniform), want=uniform)
    return report_of(
        (
            row("saved_model", Format.SAVED_MODEL, Precision.FLOAT32, recorded(reference())),
            row("edge/litert", Format.TFLITE, Precision.FLOAT32, recorded(reference(), large_batches=nan)),
            doubtful,
            row("browser/wasm", Format.TFJS, Precision.FLOAT16, recorded(swapped)),
            row("browser/webgl", Format.TFJS, Precision.FLOAT16, Skipped(reason="this browser has no WebGL")),
            row(
                "browser/cpu",
                Format.TFJS,
                Precision.UINT8,
                Errored(problem="the converter refused <Erfc>\nat node tiny/erf", hint="run `tripoint doctor`"),
                made=False,
            ),
        ),
        samples,
    )
