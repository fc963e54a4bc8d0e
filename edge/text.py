"""Text in frames: two arrays of numbers for one of text, since safetensors holds numbers only.

`text-ends:<name>`, int64 of the text's own shape, says where in `text-bytes:<name>` (uint8) each element ends; each
begins where the one before it ended. It is what `pipeline.core.text_tensors` does, which the runner cannot import.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENDS = "text-ends:"
BYTES = "text-bytes:"


def is_text(array: NDArray[Any]) -> bool:
    """True for arrays of bytes objects, or of NumPy's own text."""
    return array.dtype.kind in "OSU"


def as_numbers(name: str, array: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """An array of text as the two that travel for it. Raises TypeError for objects that are no text."""
    elements = [_as_bytes(element) for element in array.ravel().tolist()]
    ends = np.cumsum([len(element) for element in elements], dtype=np.int64)
    return {
        ENDS + name: ends.reshape(array.shape),
        BYTES + name: np.frombuffer(b"".join(elements), dtype=np.uint8),
    }


def as_text(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays with text put together again, as bytes objects. Raises ValueError when its two parts disagree."""
    found: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        if name.startswith(ENDS):
            own = name.removeprefix(ENDS)
            found[own] = _together(own, array, arrays.get(BYTES + own))
        elif not name.startswith(BYTES):
            found[name] = array
    return found


def _together(name: str, ends: NDArray[Any], held: NDArray[Any] | None) -> NDArray[Any]:
    flat = ends.astype(np.int64).ravel()
    starts = np.concatenate([[0], flat[:-1]]) if flat.size else flat
    if held is None or (int(flat[-1]) if flat.size else 0) != held.size or bool((flat < starts).any()):
        raise ValueError(f"the bytes of the text `{name}` do not fit its ends")
    content = held.tobytes()
    texts = np.empty(ends.shape, dtype=object)
    texts.ravel()[:] = [content[start:end] for start, end in zip(starts.tolist(), flat.tolist(), strict=True)]
    return texts


def _as_bytes(element: object) -> bytes:
    if not isinstance(element, bytes | str):
        raise TypeError(f"{element!r} is no text")
    return element if isinstance(element, bytes) else element.encode()
