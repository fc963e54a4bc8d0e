"""Named tensors and the signature that every artifact of a model carries unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Tensors: TypeAlias = Mapping[str, NDArray[Any]]
"""Signature name to array. A runtime's own tensor names never leave the file that talks to it."""


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """One input or output. `shape` has None for a dimension that varies; `dtype` is NumPy's name, `string` for text."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    @property
    def batched(self) -> bool:
        """True when the first dimension varies, and so counts samples."""
        return len(self.shape) > 0 and self.shape[0] is None

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> TensorSpec:
        return TensorSpec(name=value["name"], dtype=value["dtype"], shape=tuple(value["shape"]))


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Inputs and outputs, fixed at export and paired by name ever after."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.inputs)

    @property
    def fixed_batch(self) -> int | None:
        """The batch size that some input is fixed at, or None when it varies in all of them."""
        firsts = (spec.shape[0] for spec in self.inputs if spec.shape)
        return next((first for first in firsts if first is not None), None)

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.outputs)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Signature:
        return Signature(
            name=value["name"],
            inputs=tuple(TensorSpec.from_json(spec) for spec in value["inputs"]),
            outputs=tuple(TensorSpec.from_json(spec) for spec in value["outputs"]),
        )


def sample_count(tensors: Tensors) -> int:
    """How many samples the first dimension holds; raises ValueError when the arrays disagree or there are none."""
    counts = {name: (int(array.shape[0]) if array.ndim else None) for name, array in tensors.items()}
    distinct = set(counts.values())
    count = next(iter(distinct)) if len(distinct) == 1 else None
    if count is None:
        raise ValueError(f"the arrays do not hold the same number of samples: {counts}")
    return count


def batches(samples: Tensors, batch_size: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Consecutive slices of at most `batch_size` samples, the last one shorter when it does not come out even."""
    total = sample_count(samples)
    for start in range(0, total, batch_size):
        yield {name: array[start : start + batch_size] for name, array in samples.items()}


def concatenated(parts: Sequence[Tensors]) -> dict[str, NDArray[Any]]:
    """The batches' answers in one piece; raises ValueError when a batch lacks an output that another has."""
    names = parts[0].keys()
    for position, part in enumerate(parts):
        if part.keys() != names:
            raise ValueError(f"batch {position} answered {sorted(part)}, the first batch {sorted(names)}")
    return {name: np.concatenate([part[name] for part in parts], axis=0) for name in names}
