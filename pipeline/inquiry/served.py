"""A server beside what it should serve, and how far its answers are from the reference's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.signature import Signature, Tensors
from pipeline.diagnosis.distance import distance
from pipeline.diagnosis.rule import AGREES_WITHIN
from serving.doors import Door

Answer = Callable[[Tensors], Tensors]
"""From samples to answers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Served:
    """What is looked into: `name` on the server, through `door` first of all, and through the `other` one.

    `expected` is the signature of the export and `version` its number; `in_process` answers with the export itself.
    `inputs` and `want` hold one row a sample; `allowed` is the distance of each output that its tolerance lets pass.
    """

    name: str
    door: Door
    other: Door | None
    expected: Signature
    version: int
    inputs: Tensors
    want: Tensors
    allowed: Mapping[str, float]
    in_process: Answer
    export: Path

    def error(self, got: Tensors, want: Tensors | None = None) -> float:
        """The distance of the worst output, by the reference's own variation."""
        reference = self.want if want is None else want
        return max(distance(array, got[name]) if name in got else float("inf") for name, array in reference.items())

    def agrees(self, got: Tensors, want: Tensors | None = None) -> bool:
        """Whether every output is within three times what its tolerance lets pass, as experiments are judged."""
        reference = self.want if want is None else want
        return all(
            name in got and distance(array, got[name]) <= AGREES_WITHIN * max(self.allowed[name], _LEAST)
            for name, array in reference.items()
        )


# Integers have to be equal, and JSON carries floats by their decimals.
_LEAST = 1e-6
