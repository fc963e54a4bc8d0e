"""What a model itself says of the values that an input takes: rows of its tables, keys of its vocabulary, a range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Key = int | bytes
"""What a lookup table knows: a number, or a text in UTF-8."""


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownValues:
    """The values of one input, as the model's operations tell them. One of the first four is there.

    `between` holds the lowest and the highest value, both of them taken; `whole` says that only whole numbers are.
    `around` holds a middle and a distance, arrays that fit the last dimensions of a sample: values lie no farther than
    that from there. `keys` are what a lookup table knows, in the order of its vocabulary; `words`, the same, are parts
    of texts that the model takes apart. `why` says in a few words where that is from.
    """

    between: tuple[float, float] | None = None
    around: tuple[NDArray[Any], NDArray[Any]] | None = None
    keys: Sequence[Key] = ()
    words: Sequence[bytes] = ()
    whole: bool = False
    why: str
