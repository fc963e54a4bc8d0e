"""The golden: the test split's inputs, what the trained model answers for them, and the right answers, in one file.

The file is safetensors, which has readers in most languages: `inputs/<name>`, `reference/<name>` and, where the model
scores classes, `labels`, where other outputs are to meet given values, `targets/<name>`, each with one row a sample.
Text is kept as numbers, as `pipeline.core.text_tensors` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors
from pipeline.core.text_tensors import numbers_as_text, text_as_numbers

GOLDEN_FILE = "golden.safetensors"
_LABELS = "labels"


@dataclass(frozen=True, kw_only=True, eq=False)
class Golden:
    """Inputs and reference outputs by signature name; `labels` int64 [samples] or None.

    `targets` are the values that outputs are to meet, of the shapes of the reference's.
    """

    inputs: Tensors
    reference: Tensors
    labels: NDArray[np.int64] | None
    targets: Tensors = field(default_factory=dict)


def save(golden: Golden, file: Path, *, metadata: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write the golden to `file`, with metadata that goes along."""
    flat: dict[str, NDArray[Any]] = {}
    flat |= {f"inputs/{name}": array for name, array in golden.inputs.items()}
    flat |= {f"reference/{name}": array for name, array in golden.reference.items()}
    flat |= {f"targets/{name}": array for name, array in golden.targets.items()}
    if golden.labels is not None:
        flat[_LABELS] = golden.labels
    save_tensors(flat, file, metadata=metadata)


def load(file: Path) -> Golden:
    """The golden that `save` wrote."""
    flat = load_tensors(file)
    return Golden(
        inputs=_below("inputs/", flat),
        reference=_below("reference/", flat),
        labels=flat.get(_LABELS),
        targets=_below("targets/", flat),
    )


def save_tensors(tensors: Tensors, file: Path, *, metadata: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write any tensors, text too, as safetensors with the given metadata."""
    from safetensors.numpy import save_file

    numbers = text_as_numbers(tensors)
    # Not ascontiguousarray, which makes a vector of a scalar.
    save_file({name: np.asarray(array, order="C") for name, array in numbers.items()}, file, dict(metadata) or None)


def load_tensors(file: Path) -> dict[str, NDArray[Any]]:
    """What `save_tensors` wrote."""
    from safetensors.numpy import load_file

    return numbers_as_text(load_file(file))


def _below(prefix: str, flat: Tensors) -> Tensors:
    return {name.removeprefix(prefix): array for name, array in flat.items() if name.startswith(prefix)}
