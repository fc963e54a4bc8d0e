"""Text as numbers: formats that hold numbers only, such as safetensors, then carry every tensor.

An array of text becomes two arrays: `text-ends:<name>`, int64 of the text's own shape, and `text-bytes:<name>`, uint8
[bytes]. The first says where, in the second, each element ends; each begins where the one before it ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.signature import Tensors

ENDS = "text-ends:"
BYTES = "text-bytes:"


def is_text(array: NDArray[Any]) -> bool:
    """True for arrays of Python objects, bytes or str."""
    return array.dtype.kind in "OSU"


def text_as_numbers(tensors: Tensors) -> dict[str, NDArray[Any]]:
    """The tensors with text replaced; numbers as they are."""
    numbers: dict[str, NDArray[Any]] = {}
    for name, array in tensors.items():
        if is_text(array):
            elements = [as_bytes(element) for element in array.ravel().tolist()]
            ends = np.cumsum([len(element) for element in elements], dtype=np.int64)
            numbers[ENDS + name] = ends.reshape(array.shape)
            numbers[BYTES + name] = np.frombuffer(b"".join(elements), dtype=np.uint8)
        else:
            numbers[name] = array
    return numbers


def numbers_as_text(tensors: Tensors) -> dict[str, NDArray[Any]]:
    """What `text_as_numbers` was given, text as object arrays of bytes. Raises ValueError for parts that disagree."""
    found: dict[str, NDArray[Any]] = {}
    for name, array in tensors.items():
        if name.startswith(ENDS):
            found[name.removeprefix(ENDS)] = _texts(name.removeprefix(ENDS), array, tensors)
        elif not name.startswith(BYTES):
            found[name] = array
    return found


def _texts(name: str, ends: NDArray[Any], tensors: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    held = tensors.get(BYTES + name)
    flat = np.asarray(ends, dtype=np.int64).ravel()
    starts = np.concatenate([[0], flat[:-1]]) if flat.size else flat
    if held is None or (flat.size and (int(flat[-1]) != held.size or bool((flat < starts).any()))):
        raise ValueError(f"the bytes of the text `{name}` are not those that it was written with")
    content = held.tobytes()
    texts = np.empty(ends.shape, dtype=object)
    texts.ravel()[:] = [content[start:end] for start, end in zip(starts.tolist(), flat.tolist(), strict=True)]
    return texts


def as_bytes(element: object) -> bytes:
    """A text element as the bytes that TensorFlow holds."""
    return element if isinstance(element, bytes) else str(element).encode()
