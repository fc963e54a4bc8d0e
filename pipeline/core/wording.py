"""Names and sentences as people read them."""

from __future__ import annotations

from collections.abc import Iterable


def quoted(names: Iterable[str]) -> str:
    """`one`, `other`."""
    return ", ".join(f"`{name}`" for name in names)


def capitalized(sentence: str) -> str:
    """With a large first letter, the rest as it is: names keep theirs."""
    return sentence[:1].upper() + sentence[1:]
