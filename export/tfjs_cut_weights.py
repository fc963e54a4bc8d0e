"""The weights of a TF.js model: which bytes of its shards are whose, and a shard of some of them."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.errors import ConversionFailed

_SHARD = "weights.bin"
_BYTES = {"float32": 4, "int32": 4, "bool": 1, "uint8": 1, "uint16": 2, "float16": 2, "complex64": 8}


def kept_weights(folder: Path, manifest: Sequence[Any], *, wanted: Container[str], into: Path) -> list[dict[str, Any]]:
    """Write the wanted weights into one shard, and return the manifest of it.

    Raises ConversionFailed when the shards are missing, or shorter than their manifest says.
    """
    kept: list[Any] = []
    parts: list[bytes] = []
    for group in manifest:
        try:
            content = b"".join((folder / path).read_bytes() for path in group["paths"])
        except OSError as error:
            raise ConversionFailed(f"{folder}: {error}", hint="copy or convert the model again") from error
        place = 0
        for weight in group["weights"]:
            size = _size(weight, content, place)
            if place + size > len(content):
                raise ConversionFailed(
                    f"{folder}: the shards end at byte {len(content)}, in the middle of {weight['name']}",
                    hint="copy or convert the model again",
                )
            if weight["name"] in wanted:
                kept.append(weight)
                parts.append(content[place : place + size])
            place += size
    (into / _SHARD).write_bytes(b"".join(parts))
    return [{"paths": [_SHARD], "weights": kept}]


def _size(weight: Any, content: bytes, place: int) -> int:
    if weight["dtype"] == "string":
        # Each string stands behind its length, in four bytes.
        end = place
        for _ in range(math.prod(weight["shape"])):
            end += 4 + int.from_bytes(content[end : end + 4], "little")
        return end - place
    stored: str = weight.get("quantization", {}).get("dtype", weight["dtype"])
    return int(math.prod(weight["shape"])) * _BYTES[stored]
