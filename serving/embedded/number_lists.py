"""Regular nested lists of numbers in JSON, read at the speed of flat ones.

Images arrive as thousands of short lists. Building them all, only for NumPy to take them apart again, costs several
times what the numbers cost, so the nesting is checked as text and the numbers are parsed as one flat list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson

_NUMBER_CHARACTERS = b"0123456789+-.eE \t\r\n"
_FLATTEN = bytes.maketrans(b"[]", b"  ")
_BODY = re.compile(
    rb'\s*\{(?:\s*"signature_name"\s*:\s*"([^"\\]*)"\s*,)?\s*"(instances|inputs)"\s*:\s*'
    rb"(\[[\[\]0-9+\-.eE, \t\r\n]*\])\s*\}\s*"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberList:
    """The only tensor of a body: its numbers in row-major order and its shape."""

    signature_name: str
    row_format: bool
    values: list[int | float]
    shape: tuple[int, ...]


def read_number_list(body: bytes) -> NumberList | None:
    """The tensor, where the body holds one regular list of numbers and nothing else that matters; else None."""
    found = _BODY.fullmatch(body)
    if found is None:
        return None
    text = found[3]
    shape = _shape_of(text.translate(None, _NUMBER_CHARACTERS))
    if shape is None:
        return None
    try:
        values = orjson.loads(b"[" + text.translate(_FLATTEN) + b"]")
        signature_name = (found[1] or b"").decode()
    except (orjson.JSONDecodeError, UnicodeDecodeError):
        return None
    if not values:
        return None
    return NumberList(signature_name=signature_name, row_format=found[2] == b"instances", values=values, shape=shape)


def _shape_of(skeleton: bytes) -> tuple[int, ...] | None:
    """The shape of lists of which only brackets and commas are left; None where they are not regular.

    Empty lists look like lists of one here; the flat text of such a body is no JSON, so it is refused there.
    """
    rank = len(skeleton) - len(skeleton.lstrip(b"["))
    innermost = skeleton.find(b"]") - rank + 1
    unit = b"[" + b"," * (innermost - 1) + b"]"
    sizes = [innermost]
    for level in range(rank - 1, 0, -1):
        at, size = level, 0
        while skeleton.startswith(unit, at):
            size += 1
            at += len(unit)
            if skeleton[at : at + 1] != b",":
                break
            at += 1
        if not size:
            return None
        unit = b"[" + b",".join([unit] * size) + b"]"
        sizes.append(size)
    return tuple(reversed(sizes)) if unit == skeleton else None
