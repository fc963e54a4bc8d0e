"""A recording comes back from its files as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.outcome import Recording, Repeat
from pipeline.core.signature import Tensors
from pipeline.core.target import Answers, RuntimeInfo
from pipeline.parity.record import load, record, save


def test_every_answer_and_every_fact_comes_back(tmp_path: Path) -> None:
    """Otherwise judging again would judge something else."""
    transposed = np.arange(12, dtype=np.float32).reshape(3, 4).T
    names = np.array(["Zürich", "Bern", "", "Chur"], object)
    recording = Recording(
        info=RuntimeInfo(runtime="fake", version="1.2", details={"threads": "4"}),
        outputs={
            1: {"body/mass/kg": transposed, "name": names},
            16: {"body/mass/kg": transposed + 1, "name": names[::-1]},
        },
        milliseconds_per_sample={1: 0.5, 16: 0.25},
        repeats=(
            Repeat(kind="again", batch_size=1, rows=np.array([0, 2]), outputs={"body/mass/kg": transposed[:2].T}),
            Repeat(kind="mixed", batch_size=16, rows=np.array([3]), outputs={"body/mass/kg": transposed[3:]}),
        ),
    )
    again = load(tmp_path, save(recording, tmp_path))
    assert again.info == recording.info
    assert again.milliseconds_per_sample == recording.milliseconds_per_sample
    assert again.outputs.keys() == recording.outputs.keys()
    for size, outputs in recording.outputs.items():
        assert again.outputs[size].keys() == outputs.keys()
        np.testing.assert_array_equal(again.outputs[size]["body/mass/kg"], outputs["body/mass/kg"], strict=True)
        assert [np.asarray(name).item().decode() for name in again.outputs[size]["name"]] == list(outputs["name"])
    for one, other in zip(again.repeats, recording.repeats, strict=True):
        assert (one.kind, one.batch_size) == (other.kind, other.batch_size)
        np.testing.assert_array_equal(one.rows, other.rows, strict=True)
        np.testing.assert_array_equal(one.outputs["body/mass/kg"], other.outputs["body/mass/kg"], strict=True)


class Timed:
    """Answers with its input; a call takes 8, 2 and 3 milliseconds in turn."""

    info = RuntimeInfo(runtime="timed", version="1")

    def run(self, samples: Tensors, *, batch_size: int) -> Answers:
        calls = -(-len(samples["x"]) // batch_size)
        return Answers(outputs=dict(samples), call_seconds=np.resize([0.008, 0.002, 0.003], calls))


def test_the_time_of_a_sample_is_the_median_call_over_the_batch_size() -> None:
    """Otherwise the report would compare targets by seconds a call, or by the first call, which compiles."""
    recording = record(Timed(), {"x": np.arange(12)}, batch_sizes=(1, 4))
    assert recording.milliseconds_per_sample == pytest.approx({1: 3.0, 4: 0.75})
