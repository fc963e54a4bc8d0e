"""Writes JSON as TensorFlow Serving does: its indentation, its number texts, its escapes."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from serving.embedded.json_parse import JsonObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MUST_ESCAPE = re.compile(r'["\\\x00-\x1f]')
_WORTH_SORTING = 32
"""Arrays from this size on gain from finding out first which values need all digits."""
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def encoded(text: str) -> bytes:
    """The bytes on the wire; bytes that came in undecodable go out as they came."""
    return text.encode("utf-8", "surrogateescape")


def quoted(text: str) -> str:
    """A JSON string. Everything but quotes, backslashes and control characters stays as it is."""
    if _MUST_ESCAPE.search(text) is None:
        return f'"{text}"'
    return '"' + _MUST_ESCAPE.sub(lambda m: _SHORT_ESCAPES.get(m.group()) or f"\\u{ord(m.group()):04X}", text) + '"'


def error_body(message: str) -> bytes:
    return encoded(f'{{\n    "error": {quoted(message)}\n}}')


def indent(level: int) -> str:
    return "    " * level


def decimal_texts(values: np.ndarray) -> list[str]:
    """Each value of a flat float32 or float64 array as TensorFlow Serving writes it.

    Six significant digits where these read back as the same value, else nine or seventeen; always a fraction or an
    exponent. Denormals read as zero there, because its threads flush them.
    """
    if not values.size:
        return []
    tiny = np.finfo(values.dtype).tiny
    if (small := np.abs(values) < tiny).any():
        values = np.where(small, np.copysign(values.dtype.type(0), values), values)
    numbers = values.tolist()
    precise = "%.9g" if values.dtype == np.float32 else "%.17g"
    if values.dtype == np.float32 and len(numbers) >= _WORTH_SORTING:
        # Most of a softmax needs all digits: one format for everything, then only the doubtful values again.
        texts = _formatted(precise, numbers)
        places = np.flatnonzero(~_surely_long(values)).tolist()
        for place, text in zip(places, _formatted("%.6g", [numbers[place] for place in places]), strict=True):
            if np.float32(text) == values[place]:
                texts[place] = text
    else:
        texts = _formatted("%.6g", numbers)
        with np.errstate(over="ignore"):
            back = np.array([float(text) for text in texts]).astype(values.dtype)
        for place in np.flatnonzero(back != values).tolist():
            texts[place] = precise % numbers[place]
    return [text if "." in text or "e" in text else _whole_or_special(text) for text in texts]


def _formatted(form: str, numbers: list[float]) -> list[str]:
    return (f"{form} " * len(numbers) % tuple(numbers)).split()


def _surely_long(values: np.ndarray) -> np.ndarray:
    """Where six digits are certainly too few for a float32; the rest is decided by reading the text back."""
    wide = values.astype(np.float64)
    with np.errstate(all="ignore"):
        size = np.abs(wide)
        scale = 10.0 ** (5 - np.floor(np.log10(size)))
        # A float's neighbours are 6e-8 away at least, so a rounded value that is 1e-7 off reads back as another.
        return np.abs(np.rint(wide * scale) / scale - wide) > size * 1e-7


def _whole_or_special(text: str) -> str:
    match text:
        case "nan" | "-nan":
            return "NaN"
        case "inf":
            return "Infinity"
        case "-inf":
            return "-Infinity"
        case _:
            return text + ".0"


def nested(leaves: Sequence[str], shape: Sequence[int], *, level: int, one_line: bool) -> str:
    """Leaf texts in row-major order as nested lists; `level` is how deep the outermost list stands."""
    if not shape:
        return leaves[0]
    texts = leaves
    for depth in range(len(shape) - 1, -1, -1):
        size = shape[depth]
        lists = math.prod(shape[:depth])
        texts = [
            _list(texts[start * size : (start + 1) * size], level=level + depth, one_line=one_line)
            for start in range(lists)
        ]
    return texts[0]


def _list(items: Sequence[str], *, level: int, one_line: bool) -> str:
    if one_line:
        return f"[{', '.join(items)}]"
    if not items:
        return "[]"
    line = "\n" + indent(level + 1)
    return f"[{line}{f',{line}'.join(items)}\n{indent(level)}]"


def members(pairs: Iterable[tuple[str, str]], *, level: int) -> str:
    """An object of already written values."""
    line = "\n" + indent(level + 1)
    inside = f",{line}".join(f"{quoted(key)}: {text}" for key, text in pairs)
    return f"{{{line}{inside}\n{indent(level)}}}" if inside else "{}"


def base64_object(text: str, *, level: int) -> str:
    return members([("b64", f'"{text}"')], level=level)


class _Unwritable(Exception):  # not an error: the text so far is the answer
    """A number that the original's writer gives up at, leaving the text cut off."""


def value_text(value: object) -> str:
    """A parsed value as error messages quote it."""
    if isinstance(value, float):
        # A double within float's range is written as a float.
        narrow = np.float32(value) if abs(value) <= float(np.finfo(np.float32).max) else np.float64(value)
        return decimal_texts(np.array([narrow]))[0]
    parts: list[str] = []
    try:
        _write(value, parts)
    except _Unwritable:
        return "".join(parts)
    return "".join(parts)


def _write(root: object, parts: list[str]) -> None:
    """Write without recursion: a stack of what is still to be said, each entry a text or a (value, level)."""
    pending: list[str | tuple[object, int]] = [(root, 0)]
    while pending:
        entry = pending.pop()
        if isinstance(entry, str):
            parts.append(entry)
            continue
        value, level = entry
        match value:
            case JsonObject(members=inside) if inside:
                line = "\n" + indent(level + 1)
                pending.append(f"\n{indent(level)}}}")
                for place in range(len(inside) - 1, -1, -1):
                    key, item = inside[place]
                    pending.append((item, level + 1))
                    pending.append(f"{'' if place == 0 else ','}{line}{quoted(key)}: ")
                pending.append("{")
            case JsonObject():
                parts.append("{}")
            case list():
                pending.append("]")
                for place in range(len(value) - 1, -1, -1):
                    pending.append((value[place], level + 1))
                    if place:
                        pending.append(", ")
                pending.append("[")
            case _:
                parts.append(_scalar(value))


def _scalar(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case float():
            if not math.isfinite(value):
                raise _Unwritable
            return shortest(value)
        case _:
            return str(value)


def shortest(value: float) -> str:
    """The shortest text that reads back, with an exponent only beyond 21 digits, as RapidJSON's own writer does."""
    text = repr(value)
    if "e" not in text:
        return text
    digits, _, exponent = text.partition("e")
    power = int(exponent)
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    whole, _, fraction = digits.partition(".")
    if 0 <= power < 21:
        return f"{sign}{whole}{fraction}{'0' * (power - len(fraction))}.0"
    if -7 < power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{whole}{fraction}"
    return f"{sign}{digits}e{power}"
