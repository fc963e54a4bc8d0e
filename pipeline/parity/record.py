"""Running one artifact on one target over all samples, and keeping what it answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.outcome import Recording, Repeat
from pipeline.core.signature import Tensors
from pipeline.core.target import Answers, Runner, RuntimeInfo
from pipeline.core.text_tensors import numbers_as_text, text_as_numbers
from pipeline.parity.repeat import ask_again

OUTPUTS_FILE = "outputs.safetensors"
REPEATS_FILE = "repeats.safetensors"


def record(runner: Runner, samples: Tensors, *, batch_sizes: Sequence[int]) -> Recording:
    """Ask for all samples once at each batch size, then for a few of them again, untimed.

    Raises TargetFailed as the runner does.
    """
    answers = {size: runner.run(samples, batch_size=size) for size in batch_sizes}
    return Recording(
        info=runner.info,
        outputs={size: answer.outputs for size, answer in answers.items()},
        milliseconds_per_sample={size: _milliseconds_per_sample(answer, size) for size, answer in answers.items()},
        repeats=ask_again(runner, samples, batch_sizes=batch_sizes),
    )


def save(recording: Recording, folder: Path) -> dict[str, Any]:
    """Write the outputs into `folder` and return the rest as facts for the manifest."""
    from safetensors.numpy import save_file

    flat = {
        f"{size}/{name}": np.asarray(array, order="C")
        for size, outputs in recording.outputs.items()
        for name, array in outputs.items()
    }
    save_file(text_as_numbers(flat), folder / OUTPUTS_FILE)
    repeated: dict[str, NDArray[Any]] = {}
    for position, repeat in enumerate(recording.repeats):
        repeated[f"rows/{position}"] = repeat.rows
        repeated |= {
            f"outputs/{position}/{name}": np.asarray(array, order="C") for name, array in repeat.outputs.items()
        }
    save_file(text_as_numbers(repeated), folder / REPEATS_FILE)
    return {
        "repeats": [{"kind": repeat.kind, "batch_size": repeat.batch_size} for repeat in recording.repeats],
        "info": {
            "runtime": recording.info.runtime,
            "version": recording.info.version,
            "details": dict(recording.info.details),
        },
        "milliseconds_per_sample": {str(size): time for size, time in recording.milliseconds_per_sample.items()},
    }


def load(folder: Path, facts: Mapping[str, Any]) -> Recording:
    """The recording that `save` kept."""
    from safetensors.numpy import load_file

    outputs: dict[int, dict[str, NDArray[Any]]] = {}
    for key, array in numbers_as_text(load_file(folder / OUTPUTS_FILE)).items():
        size, name = key.split("/", 1)
        outputs.setdefault(int(size), {})[name] = array
    repeated = numbers_as_text(load_file(folder / REPEATS_FILE))
    return Recording(
        info=RuntimeInfo(**facts["info"]),
        outputs=outputs,
        milliseconds_per_sample={int(size): time for size, time in facts["milliseconds_per_sample"].items()},
        repeats=tuple(
            Repeat(
                kind=fact["kind"],
                batch_size=fact["batch_size"],
                rows=repeated[f"rows/{position}"],
                outputs={
                    key.split("/", 2)[2]: array
                    for key, array in repeated.items()
                    if key.startswith(f"outputs/{position}/")
                },
            )
            for position, fact in enumerate(facts["repeats"])
        ),
    )


def _milliseconds_per_sample(answers: Answers, batch_size: int) -> float:
    # The median leaves out the first call, which traces and compiles, and the last one, which may be shorter.
    return float(np.median(answers.call_seconds)) * 1000 / batch_size
