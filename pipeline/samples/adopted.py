"""The samples of a model that was made elsewhere: its user's own, or made up; apart from them those to quantize by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import UsageError
from pipeline.core.signature import Tensors, TensorSpec, sample_count
from pipeline.samples.from_files import read_samples
from pipeline.samples.wanted import whole_batches

_DEFAULT_GIVEN = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """What the model is asked, what integer quantization takes its ranges from, and in words where both come from."""

    asked: Tensors
    representative: Tensors
    labels: NDArray[np.int64] | None
    description: str
    notes: tuple[str, ...] = ()


def samples_from(
    path: Path,
    inputs: tuple[TensorSpec, ...],
    *,
    batch: int | None,
    count: int | None,
    representative: int,
    labels: bool,
    ranges: Mapping[str, tuple[float, float]],
) -> Samples:
    """`count` of the samples in a file, in whole batches of a fixed size; 256 where nobody says.

    What is compared and what quantization learns from are kept apart where there is enough for both. Raises UsageError
    for samples that do not fit, and for less than a batch.
    """
    wanted = whole_batches(count or _DEFAULT_GIVEN, batch)
    given = read_samples(path, inputs, count=wanted + representative, labels=labels, ranges=dict(ranges))
    total = sample_count(given.inputs)
    every = np.arange(total)
    share = max(1, min(wanted, total - min(representative, total // 2)))
    asked = every if total < 2 else np.unique(np.arange(share) * total // share)
    if batch is not None:
        asked = asked[: len(asked) // batch * batch]
        if not len(asked):
            raise UsageError(
                f"--samples {path} holds {total} samples, and the model takes {batch} at once",
                hint=f"give at least {batch}",
            )
    rest = np.setdiff1d(every, asked)
    learned = rest[: len(rest) // (batch or 1) * (batch or 1)]
    learned = learned if len(learned) else asked
    notes = "" if learned is not asked else "; integer quantization took its ranges from the same ones"
    return Samples(
        asked={name: np.ascontiguousarray(array[asked]) for name, array in given.inputs.items()},
        representative={
            name: np.ascontiguousarray(array[learned[: whole_batches(representative, batch)]])
            for name, array in given.inputs.items()
        },
        labels=None if given.labels is None else given.labels[asked],
        description=f"of the {given.total} in {path.name}{notes}",
    )
