"""What a lowering is: a rewrite of one kind of operation that keeps its meaning and opens the way to a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from export.lowering.body import Body
from pipeline.core.artifact import Format


class When(Enum):
    """Whether a converter gets the rewritten form from the start, or only after it has refused the operation."""

    ALWAYS = "always"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True, eq=False)
class Lowering:
    """A rewrite of `operations`. `rewrite` changes the node and returns True, or returns False and leaves it as it is.

    `becomes` says in a few words what stands in their place.
    """

    name: str
    operations: frozenset[str]
    becomes: str
    when: Mapping[Format, When]
    rewrite: Callable[[Body, Any], bool]
