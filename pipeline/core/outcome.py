"""What became of running one artifact on one target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors
from pipeline.core.target import RuntimeInfo

RepeatKind: TypeAlias = Literal["again", "mixed", "together"]
"""Asked again in the same batches, among other samples, or by several clients at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Repeat:
    """Samples that were asked once more: `rows` [answers] are their indices, `outputs` have one row an answer."""

    kind: RepeatKind
    batch_size: int
    rows: NDArray[np.int64]
    outputs: Tensors


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """The answers of one artifact on one target.

    `outputs` has an entry a batch size, each with one row a sample; `milliseconds_per_sample` likewise. `repeats` were
    asked after all of them.
    """

    info: RuntimeInfo
    outputs: Mapping[int, Tensors]
    milliseconds_per_sample: Mapping[int, float]
    repeats: tuple[Repeat, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """Not run, and why. A report that holds nothing else is not a pass."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Errored:
    """Run, and broke: what happened, and the mend."""

    problem: str
    hint: str


Outcome: TypeAlias = Recording | Skipped | Errored
