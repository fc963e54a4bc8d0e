"""What a lowering is tried on: a layer that a target cannot run without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.core.artifact import Format, Precision

SAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a layer computes, on which shape, the lowering that it needs and the target that needs it.

    `precision` is the one in which it fails without; text is drawn from a table's keys and one that it does not know.
    """

    lowering: str
    target: Format
    compute: Callable[..., Any]
    shape: tuple[int, ...]
    dtype: str = "float32"
    precision: Precision = Precision.FLOAT32
    on_old: bool = False
    """Whether it is the older of the two edge runtimes that fails."""
    variant: str = "wasm"
    """The browser's backend that fails."""
    holds: Callable[[], Any] | None = None
    """Makes what the layer holds, which `compute` is then given after its input."""


def on_both(lowering: str, compute: Callable[..., Any], shape: tuple[int, ...], *, on_old: bool = False) -> list[Case]:
    """One that TF.js needs as TFLite does."""
    return [
        Case(lowering=lowering, target=target, compute=compute, shape=shape, on_old=on_old)
        for target in (Format.TFJS, Format.TFLITE)
    ]


def tensorflow() -> Any:
    """TensorFlow, imported when a layer is computed: collecting the tests does not wait for it."""
    import tensorflow as tf

    return tf
