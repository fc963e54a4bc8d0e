"""What can be said of a version while it is loaded, served and let go, and how patient its loading is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.embedded.status import ServingError


class State(IntEnum):
    """A version's state, numbered as ModelVersionStatus numbers it."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionStatus:
    """What GetModelStatus says of one version."""

    version: int
    state: State
    error: ServingError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadSettings:
    """How patient loading is."""

    poll_seconds: float = 1.0
    """Between looks at the base paths; 0: look once; negative: never."""
    retries: int = 5
    retry_seconds: float = 60.0
    allow_labels_for_unavailable: bool = False
