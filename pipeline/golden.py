"""The golden: the test split's inputs, what the trained model answers for them, and the right answers, in one file.

The file is safetensors, which has readers in most languages: `inputs/<name>`, `reference/<name>` and, where the model
scores classes, `labels`, where other outputs are to meet given values, `targets/<name>`, each with one row a sample.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors

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


def save(golden: Golden, file: Path) -> None:
    """Write the golden to `file`."""
    from safetensors.numpy import save_file

    flat: dict[str, NDArray[Any]] = {}
    flat |= {f"inputs/{name}": np.ascontiguousarray(array) for name, array in golden.inputs.items()}
    flat |= {f"reference/{name}": np.ascontiguousarray(array) for name, array in golden.reference.items()}
    flat |= {f"targets/{name}": np.ascontiguousarray(array) for name, array in golden.targets.items()}
    if golden.labels is not None:
        flat[_LABELS] = np.ascontiguousarray(golden.labels)
    save_file(flat, file)


def load(file: Path) -> Golden:
    """The golden that `save` wrote."""
    from safetensors.numpy import load_file

    flat = load_file(file)
    return Golden(
        inputs=_below("inputs/", flat),
        reference=_below("reference/", flat),
        labels=flat.get(_LABELS),
        targets=_below("targets/", flat),
    )


def _below(prefix: str, flat: Tensors) -> Tensors:
    return {name.removeprefix(prefix): array for name, array in flat.items() if name.startswith(prefix)}
