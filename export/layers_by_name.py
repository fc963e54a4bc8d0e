"""Which tensors of a converted graph belong to a Keras layer: converters keep nothing of it but names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from pipeline.core.errors import ConversionFailed

# Keras calls a layer's scope `features_1` where the layer is `features`; converters join names with `;` and end them in
# `:0`, and TF.js's puts the names of fused operations one after the other.
_SEPARATORS = re.compile(r"[/;:]")
_CALL = re.compile(r"_\d+$")


def belongs_to(tensor: str, layers: Iterable[str]) -> bool:
    """Whether one of the layers is a part of the tensor's name."""
    parts = set(_SEPARATORS.split(tensor))
    parts |= {_CALL.sub("", part) for part in parts}
    return not parts.isdisjoint(layers)


def check_all_found(layers: Sequence[str], tensors: Iterable[str], *, label: str) -> None:
    """Raise ConversionFailed, with the nearest name, for a layer that no tensor belongs to."""
    names = list(tensors)
    known = sorted({_CALL.sub("", part) for name in names for part in _SEPARATORS.split(name)[:-1]})
    for layer in layers:
        if not any(belongs_to(name, (layer,)) for name in names):
            near = difflib.get_close_matches(layer, known, n=1)
            raise ConversionFailed(
                f"{label}: keep_float names the layer `{layer}`, which the converted model has nothing of",
                hint=f"did you mean `{near[0]}`?" if near else f"it has {', '.join(known) or 'no names at all'}",
            )
