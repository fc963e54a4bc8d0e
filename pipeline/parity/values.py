"""What every value of a report is made of: frozen and keyword-only, its JSON and schema following from its fields."""

from __future__ import annotations

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen value. msgspec's Struct rather than a dataclass, since it reads and checks its own JSON, unions too."""


class Kind(Value, frozen=True, tag_field="kind"):
    """A member of a union; its class carries the tag that names it in JSON."""


Scalar = float | int | bool | str
"""One element of an output; NaN and the infinities by name, text that is not UTF-8 with backslash escapes."""

Place = tuple[int, ...]
"""The index of one element in a whole output; the first number counts samples."""


def as_json(value: Value) -> str:
    """One JSON object, indented; infinities and NaN are null in it."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
