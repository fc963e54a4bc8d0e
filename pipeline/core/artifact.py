"""Something that a stage made and a later stage or a runtime reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.core.signature import Signature


class Format(StrEnum):
    """What kind of file or folder an artifact is."""

    KERAS = "keras"
    SAVED_MODEL = "saved_model"
    TFLITE = "tflite"
    TFJS = "tfjs"


class Precision(StrEnum):
    """How an artifact's weights, and for full integer quantization its activations, are stored."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    DYNAMIC = "dynamic"
    INT8 = "int8"
    INT8_IO = "int8-io"
    INT16X8 = "int16x8"
    UINT16 = "uint16"
    UINT8 = "uint8"


TFLITE_PRECISIONS = (
    Precision.FLOAT32,
    Precision.FLOAT16,
    Precision.DYNAMIC,
    Precision.INT8,
    Precision.INT8_IO,
    Precision.INT16X8,
)
TFJS_PRECISIONS = (Precision.FLOAT32, Precision.FLOAT16, Precision.UINT16, Precision.UINT8)
CALIBRATED_PRECISIONS = frozenset({Precision.INT8, Precision.INT8_IO, Precision.INT16X8})
"""Those whose conversion looks at representative samples."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A finished artifact in the store.

    `path` is the `.keras` or `.tflite` file, the SavedModel's version folder `<model>/<version>/`, or the folder that
    holds a TF.js `model.json`. `digest` is the SHA-256 (hex) over all its files; `made_from` the digest of its source.
    """

    model: str
    format: Format
    precision: Precision
    path: Path
    signature: Signature
    digest: str
    made_from: str | None
    size_bytes: int

    @property
    def label(self) -> str:
        """What a message calls it: `digits tflite int8`."""
        return f"{self.model} {self.format} {self.precision}"
