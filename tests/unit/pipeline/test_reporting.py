"""What the report notes of how the artifacts were made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.core.outcome import Errored
from pipeline.reporting import lowered
from pipeline.store import Entry


def entry(*lowerings: dict[str, Any]) -> Entry:
    return Entry(path=Path("somewhere"), facts={"lowerings": list(lowerings)}, files={}, digest="", size_bytes=0)


ERFC = {"lowering": "erfc", "operation": "Erfc", "becomes": "1 - Erf", "nodes": ["a", "b"]}
ROLL = {"lowering": "roll", "operation": "Roll", "becomes": "a gathering of rotated indices", "nodes": ["c"]}


def test_each_lowering_is_noted_once_with_the_artifacts_that_took_it() -> None:
    """Whoever looks for a difference would not know that an operation is not the model's own."""
    made: dict[str, Entry | Errored] = {
        "convert tfjs float32": entry(ERFC, ROLL),
        "convert tflite float32": entry(ROLL),
        "convert tflite int8": entry(),
        "convert tflite float16": Errored(problem="it broke", hint="mend it"),
    }
    assert lowered(made) == [
        "Lowered in tfjs float32: Erfc, to 1 - Erf.",
        "Lowered in tfjs float32, tflite float32: Roll, to a gathering of rotated indices.",
    ]
