"""What TF.js can run where, as the build of the web app read it from the npm packages (`vite/kernels.ts`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import EnvironmentProblem
from web_demo.runtime import DIST, KERNELS_FILE, web_app_missing


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """`backends` has the names of the kernels that each backend registers, `operations` those that each calls."""

    version: str
    backends: Mapping[str, frozenset[str]]
    operations: Mapping[str, tuple[str, ...]]

    def lacking(self, operation: str, backend: str) -> tuple[str, ...]:
        """The kernels that the operation needs and the backend does not have."""
        known = self.backends[backend]
        return tuple(kernel for kernel in self.operations.get(operation, ()) if kernel not in known)


def installed_kernels(dist: Path = DIST) -> Kernels:
    """What the built web app has. Raises EnvironmentProblem when it is not built."""
    reason = web_app_missing(dist)
    if reason is not None:
        raise EnvironmentProblem(reason, hint="make setup")
    found = json.loads((dist / KERNELS_FILE).read_text())
    return Kernels(
        version=found["version"],
        backends={name: frozenset(kernels) for name, kernels in found["backends"].items()},
        operations={name: tuple(kernels) for name, kernels in found["operations"].items()},
    )
