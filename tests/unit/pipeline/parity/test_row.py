"""A line of the report says what became of one artifact on one target, and what it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.outcome import Errored, Outcome, Recording, Skipped
from pipeline.core.signature import Signature
from pipeline.core.target import RuntimeInfo
from pipeline.parity.row import Row, Runtime, row_of
from pipeline.parity.status import Error, Fail, Inconclusive, Pass, Skip
from pipeline.parity.tolerances import Tolerance
from tests.unit.pipeline.parity.answers import ramp, reference


@pytest.fixture
def artifact(signature: Signature) -> Artifact:
    return Artifact(
        model="m", format=Format.TFJS, precision=Precision.UINT8, path=Path("artifact"), signature=signature,
        digest="ab" * 32, made_from=None, size_bytes=27,
    )  # fmt: skip


def line(
    outcome: Outcome, artifact: Artifact | None, signature: Signature, tolerance: Tolerance, **further: Any
) -> Row:
    return row_of(
        outcome,
        target="browser/wasm",
        format=Format.TFJS,
        precision=Precision.UINT8,
        artifact=artifact,
        reference=reference(),
        signature=signature,
        tolerances=dict.fromkeys(signature.output_names, tolerance),
        labels=np.arange(8) % 3,
        scores_output="scores",
        **further,
    )


def test_a_recording_is_compared_with_labels_and_targets(
    artifact: Artifact, signature: Signature, tolerance: Tolerance
) -> None:
    """Otherwise a report would lack the runtime, the accuracy or the error of the task."""
    recording = Recording(
        info=RuntimeInfo(runtime="TF.js", version="4.22", details={"threads": "1"}),
        outputs={1: reference()},
        milliseconds_per_sample={1: 0.5},
    )
    found = line(recording, artifact, signature, tolerance, targets={"scores": ramp() + 1})
    assert found.status == Pass()
    assert (found.label, found.format, found.precision) == ("browser/wasm uint8", Format.TFJS, Precision.UINT8)
    assert (found.size_bytes, found.digest) == (27, "ab" * 32)
    assert found.runtime == Runtime(runtime="TF.js", version="4.22", details={"threads": "1"})
    assert found.comparison is not None
    scores = found.comparison.batches[0].outputs[0]
    assert scores.scores is not None
    assert scores.scores.accuracy is not None
    assert scores.task is not None
    assert scores.task.reference == pytest.approx(1.0)
    why = "it is random"
    unsure = line(recording, artifact, signature, tolerance, unrepeatable={"count": why})
    assert unsure.status == Inconclusive(reason=f"count: {why}")
    wrong: Mapping[str, Any] = reference() | {"scores": ramp() + np.float32(1)}
    differing = Recording(info=recording.info, outputs={1: wrong}, milliseconds_per_sample={1: 0.5})
    assert isinstance(line(differing, artifact, signature, tolerance).status, Fail)


def test_what_did_not_run_says_why_and_has_no_figures(
    artifact: Artifact, signature: Signature, tolerance: Tolerance
) -> None:
    """Otherwise a target that broke could be taken for one that was left out."""
    skipped = line(Skipped(reason="no browser here"), artifact, signature, tolerance)
    assert (skipped.status, skipped.runtime, skipped.comparison) == (Skip(reason="no browser here"), None, None)
    broke = line(Errored(problem="it broke", hint="mend it"), None, signature, tolerance)
    assert (broke.status, broke.runtime, broke.comparison) == (Error(problem="it broke", hint="mend it"), None, None)
    assert (broke.size_bytes, broke.digest) == (None, None)
