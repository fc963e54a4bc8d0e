"""Keeps the right versions loaded: looks at the disk, loads beside what is served, switches, lets go.

One thread looks, loads and unloads. Requests read a table that is replaced as a whole and never changed, so a request
sees either the old version or the new one.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from serving.embedded.models import ModelConfig, Specific, folder_contents, versions_on_disk, wanted_versions
from serving.embedded.states import LoadSettings, State, VersionStatus
from serving.embedded.status import Code, ServingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serving.embedded.servable import Servable

log = logging.getLogger("serving.embedded")

_EAGER_POLL_SECONDS = 0.05
"""How often the base path is looked at until a model's first version is there: a pipeline may be about to write it."""


_STOP_SECONDS = 2.0
"""How long the end waits for a run that hangs in TensorFlow; nothing can interrupt one."""
NO_VERSIONS = Specific(versions=frozenset())
"""The policy of a model that is no longer configured."""


@dataclass(kw_only=True, slots=True)
class _Model:
    config: ModelConfig
    statuses: dict[int, VersionStatus] = field(default_factory=dict)
    loaded: dict[int, Servable] = field(default_factory=dict)
    failed_as: dict[int, tuple[object, ...]] = field(default_factory=dict)
    """What lay in a version's folder when its loading was given up: it is tried again once that has changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Served:
    """What requests see of one model."""

    versions: Mapping[int, Servable]
    labels: Mapping[str, int]

    @property
    def latest(self) -> Servable | None:
        return self.versions[max(self.versions)] if self.versions else None


class Manager:
    """Loads, swaps and unloads. `start` and `stop` bracket its life."""

    def __init__(
        self,
        settings: LoadSettings,
        load: Callable[[str, int, Path], Servable],
    ) -> None:
        self._settings = settings
        self._load = load
        self._lock = threading.Condition()
        self._models: dict[str, _Model] = {}
        self._served: Mapping[str, _Served] = {}
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def lookup(self, name: str, version: int | None = None, label: str = "") -> Servable:
        """The servable, held open: call its `release`. Raises ServingError with TensorFlow Serving's text."""
        if not name:
            raise ServingError(Code.INVALID_ARGUMENT, "ModelSpec has no name specified.")
        while True:
            served = self._served.get(name)
            if label:
                version = served.labels.get(label) if served else None
                if version is None:
                    raise ServingError(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
            if version is None:
                servable = served.latest if served else None
                asked = f"Latest({name})"
            else:
                servable = served.versions.get(version) if served else None
                asked = f"Specific({name}, {version})"
            if servable is None:
                raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {asked}")
            if servable.acquire():
                return servable

    def statuses(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Newest first. Raises ServingError where there is none."""
        with self._lock:
            model = self._models.get(name)
            known = sorted(model.statuses.values(), key=lambda s: -s.version) if model else []
        if version is not None:
            known = [status for status in known if status.version == version]
            if not known:
                raise ServingError(Code.NOT_FOUND, f"Could not find version {version} of model {name}")
        if not known:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        return known

    def configure(self, models: tuple[ModelConfig, ...]) -> None:
        """Serve these models from now on; models that are no longer listed are unloaded."""
        with self._lock:
            keep = {config.name for config in models}
            for name in [name for name in self._models if name not in keep]:
                self._models[name].config = ModelConfig(name=name, base_path=Path("/"), policy=NO_VERSIONS)
            for config in models:
                if config.name in self._models:
                    self._models[config.name].config = config
                else:
                    self._models[config.name] = _Model(config=config)
            self._publish()
        self._wake.set()

    def check_labels(self, models: tuple[ModelConfig, ...]) -> None:
        """Raise FAILED_PRECONDITION where a label is assigned to a version that is not there to be asked."""
        for config in models:
            served = self._served.get(config.name)
            for label, version in sorted(config.labels.items()):
                available = served is not None and version in served.versions
                known_as_other = served is not None and served.labels.get(label, version) != version
                if not available and (known_as_other or not self._settings.allow_labels_for_unavailable):
                    raise ServingError(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {config.name}, which is not currently "
                        "available for inference",
                    )

    def wait_available(self, names: tuple[str, ...], until: Callable[[], bool], timeout: float | None = None) -> None:
        """Return when every model has a version to ask, or `until()` says to stop.

        Raises ServingError once all wanted versions of one of them have failed for good, or after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            while not until():
                waiting = [name for name in names if not self._models[name].loaded]
                if not waiting:
                    return
                for name in waiting:
                    self._raise_if_hopeless(name)
                if deadline is not None and time.monotonic() > deadline:
                    raise ServingError(Code.DEADLINE_EXCEEDED, f"Models did not become available: {', '.join(waiting)}")
                self._lock.wait(0.2)

    def _raise_if_hopeless(self, name: str) -> None:
        model = self._models[name]
        errors = {v: s.error for v, s in model.statuses.items() if s.state is State.END and s.error}
        if errors and len(errors) == len(model.statuses):
            version, error = max(errors.items())
            raise ServingError(
                Code.UNKNOWN,
                f"1 servable(s) did not become available: {{{{name: {name} version: {version}}} due to error: {error}, "
                "}",
            )

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="model-manager", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop looking, wait for a load that is going on, and unload everything."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            loaded = [servable for model in self._models.values() for servable in model.loaded.values()]
            self._served = {}
        for servable in loaded:
            servable.close(within_seconds=_STOP_SECONDS)

    def _work(self) -> None:
        looked = False
        while not self._stopping:
            with self._lock:
                names = list(self._models)
            for name in names:
                if not (looked and self._settings.poll_seconds <= 0):
                    self._reconcile(name)
            # Looking just once still means looking until there was something to see.
            looked = all(model.loaded for model in self._models.values())
            self._wake.wait(self._pause())
            self._wake.clear()

    def _pause(self) -> float:
        if any(not model.loaded and not model.statuses for model in self._models.values()):
            return _EAGER_POLL_SECONDS
        return self._settings.poll_seconds if self._settings.poll_seconds > 0 else 3600.0

    def _reconcile(self, name: str) -> None:
        model = self._models[name]
        wanted = self._wanted(model)
        if wanted is None:
            return
        for version in sorted(wanted, reverse=True):
            if version not in model.loaded and not self._stopping:
                self._load_version(model, version, wanted[version])
        good = [version for version in wanted if version in model.loaded]
        # What works is kept until one of the wanted versions works.
        if good or not wanted:
            for version in [version for version in model.loaded if version not in wanted]:
                self._unload_version(model, version)

    def _wanted(self, model: _Model) -> dict[int, Path] | None:
        """The versions that should be loaded, or None where the disk does not say."""
        config = model.config
        if config.policy == NO_VERSIONS:
            return {}
        try:
            on_disk = versions_on_disk(config.base_path)
        except OSError as error:
            log.debug("cannot look at the base path %s of model %s: %s", config.base_path, model.config.name, error)
            return None
        wanted = wanted_versions(config.policy, on_disk, frozenset(model.loaded))
        if not wanted and not model.loaded:
            return None
        return wanted

    def _load_version(self, model: _Model, version: int, path: Path) -> None:
        name = model.config.name
        if model.failed_as.get(version) == folder_contents(path):
            return
        self._set(model, VersionStatus(version=version, state=State.LOADING))
        attempt = 0
        while True:
            before = folder_contents(path)
            try:
                servable = self._load(name, version, path)
            except ServingError as error:
                log.error("loading %s version %d failed: %s", name, version, error)  # noqa: TRY400  # no trace: the text says it
                if attempt >= self._settings.retries or not self._still_wanted(model, version):
                    model.failed_as[version] = before
                    self._set(model, VersionStatus(version=version, state=State.END, error=error))
                    return
                attempt += 1
                if not self._wait_to_retry(model, version, path, before):
                    model.failed_as[version] = before
                    self._set(model, VersionStatus(version=version, state=State.END, error=error))
                    return
                continue
            break
        log.info("loaded %s version %d from %s", name, version, path)
        with self._lock:
            model.failed_as.pop(version, None)
            model.loaded[version] = servable
            model.statuses[version] = VersionStatus(version=version, state=State.AVAILABLE)
            self._publish()

    def _wait_to_retry(self, model: _Model, version: int, path: Path, before: tuple[object, ...]) -> bool:
        """Wait the retry interval, or until a changed folder has come to rest; False: it is not wanted any more."""
        deadline = time.monotonic() + max(self._settings.retry_seconds, 0.0)
        pause = _EAGER_POLL_SECONDS if not model.loaded else min(max(self._settings.poll_seconds, 0.05), 1.0)
        last = before
        while time.monotonic() < deadline and not self._stopping:
            self._wake.wait(pause)
            self._wake.clear()
            if not self._still_wanted(model, version):
                return False
            now = folder_contents(path)
            if now != before and now == last:
                return True
            last = now
        return not self._stopping

    def _still_wanted(self, model: _Model, version: int) -> bool:
        wanted = self._wanted(model)
        return wanted is not None and version in wanted

    def _unload_version(self, model: _Model, version: int) -> None:
        with self._lock:
            servable = model.loaded.pop(version)
            model.statuses[version] = VersionStatus(version=version, state=State.UNLOADING)
            self._publish()
        servable.close()
        log.info("unloaded %s version %d", model.config.name, version)
        self._set(model, VersionStatus(version=version, state=State.END))

    def _set(self, model: _Model, status: VersionStatus) -> None:
        with self._lock:
            model.statuses[status.version] = status
            self._publish()

    def _publish(self) -> None:
        """Replace the table that requests read. The lock must be held."""
        self._served = {
            name: _Served(versions=dict(model.loaded), labels=dict(model.config.labels))
            for name, model in self._models.items()
        }
        self._lock.notify_all()
