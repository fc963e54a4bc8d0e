"""Selective quantization of a TF.js graph model: the weights of all layers but some."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.layers_by_name import belongs_to, check_all_found


def quantize_but(
    manifest: list[dict[str, Any]], layers: Sequence[str], *, dtype: str, folder: Path, label: str
) -> list[dict[str, Any]]:
    """Write the shards in `folder` anew with weights stored as `dtype`, those of `layers` as they are.

    `manifest` is the model's own and names the shards; returned is the new one. Raises ConversionFailed for a layer
    that has no weight.
    """
    from tensorflowjs.read_weights import read_weights
    from tensorflowjs.write_weights import write_weights

    groups = read_weights(manifest, str(folder))
    names = [weight["name"] for group in groups for weight in group]
    check_all_found(layers, names, label=label)
    for shard in (path for group in manifest for path in group["paths"]):
        (folder / shard).unlink()
    # The names are taken for patterns.
    chosen = [glob.escape(name) for name in names if not belongs_to(name, layers)]
    written: list[dict[str, Any]] = write_weights(
        groups, str(folder), write_manifest=False, quantization_dtype_map={dtype: chosen}
    )
    return written
