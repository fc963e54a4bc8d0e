"""What became of running one artifact on one target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.core.signature import Tensors
from pipeline.core.target import RuntimeInfo


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """The answers of one artifact on one target.

    `outputs` has an entry a batch size, each with one row a sample; `milliseconds_per_sample` likewise.
    """

    info: RuntimeInfo
    outputs: Mapping[int, Tensors]
    milliseconds_per_sample: Mapping[int, float]


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
