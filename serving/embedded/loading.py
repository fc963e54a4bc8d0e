"""Makes a version ready to serve: loads it, replays its warmup requests, and counts both."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serving.embedded.servable import Servable, SessionSettings, load_servable
from serving.embedded.status import ServingError, from_tensorflow
from serving.embedded.warmup import warm_up

if TYPE_CHECKING:
    from serving.embedded.metrics import Metrics


@dataclass(frozen=True, kw_only=True, slots=True)
class Loader:
    """Loads versions with one set of session settings."""

    settings: SessionSettings
    metrics: Metrics
    warmup_iterations: int
    """How often each warmup request is replayed; 0: not at all."""

    def load(self, name: str, version: int, path: Path) -> Servable:
        """A version that is ready for requests. Raises ServingError."""
        started = time.perf_counter()
        try:
            servable = load_servable(name, version, path, self.settings)
        except ServingError:
            self.metrics.load_attempts.add(str(path), "fail")
            raise
        self.metrics.load_attempts.add(str(path), "success")
        self.metrics.load_latency.add(str(path), by=round((time.perf_counter() - started) * 1e6))
        if self.warmup_iterations:
            try:
                warm_up(servable, self.metrics, self.warmup_iterations)
            except Exception as error:  # noqa: BLE001  # whatever a record makes TensorFlow raise
                servable.close()
                raise (error if isinstance(error, ServingError) else from_tensorflow(error)) from None
        return servable
