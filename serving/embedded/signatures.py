"""What a SavedModel's signatures say, in the form that requests are checked and run with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SIGNATURE = "serving_default"
PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress"))


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorSpec:
    """One input or output: name in the graph, element type, shape (None: unknown rank; -1: unknown size)."""

    tensor: str
    dtype: int
    shape: tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignatureSpec:
    """One signature; inputs and outputs are in the order of their names."""

    name: str
    method: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    defaults: Mapping[str, Any]
    definition: Any
    """The SignatureDef itself, for messages and metadata."""

    @classmethod
    def of(cls, name: str, definition: Any) -> SignatureSpec:
        return cls(
            name=name,
            method=definition.method_name,
            inputs=_specs(definition.inputs),
            outputs=_specs(definition.outputs),
            defaults=dict(definition.defaults),
            definition=definition,
        )


def _specs(infos: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {name: _spec(infos[name]) for name in sorted(infos)}


def _spec(info: Any) -> TensorSpec:
    shape = info.tensor_shape
    return TensorSpec(
        tensor=info.name,
        dtype=info.dtype,
        shape=None if shape.unknown_rank else tuple(dim.size for dim in shape.dim),
    )
