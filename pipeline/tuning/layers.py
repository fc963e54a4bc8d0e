"""Which layers of a model hold how many weights: those that selective quantization can do something about."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.layer_of_node import LayerNames


def layers_with_weights(tfjs_folder: Path, names: LayerNames) -> dict[str, int]:
    """Layer to its number of float weights, most first, as the float32 TF.js model in the folder has them."""
    from export.layer_of_node import layer_of_node

    model = json.loads((tfjs_folder / "model.json").read_text())
    counts: Counter[str] = Counter()
    for weight in (weight for group in model["weightsManifest"] for weight in group["weights"]):
        layer = layer_of_node(weight["name"], names).rpartition("/")[2]
        if weight["dtype"] == "float32" and layer in names.layers and len(weight["shape"]) > 1:
            counts[layer] += math.prod(weight["shape"])
    return dict(counts.most_common())
