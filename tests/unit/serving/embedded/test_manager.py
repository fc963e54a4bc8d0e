"""Versions are swapped without a gap, and a broken one never replaces a good one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.embedded.manager import Manager
from serving.embedded.models import All, ModelConfig, Policy
from serving.embedded.states import LoadSettings, State
from serving.embedded.status import Code, ServingError

QUICK = LoadSettings(poll_seconds=0.02, retries=0, retry_seconds=0.05)


class StandIn:
    """What the manager asks of a servable; `broken` folders cannot be made into one."""

    def __init__(self, version: int, path: Path) -> None:
        if (path / "broken").exists():
            raise ServingError(Code.OUT_OF_RANGE, "Read less bytes than requested")
        self.version = version
        self.closed = threading.Event()

    def acquire(self) -> bool:
        return not self.closed.is_set()

    def release(self) -> None:
        pass

    def close(self, within_seconds: float | None = None) -> None:
        self.closed.set()


def load(_: str, version: int, path: Path) -> Any:
    return StandIn(version, path)


@contextmanager
def managing(
    base: Path, *, policy: Policy | None = None, settings: LoadSettings = QUICK, loader: Callable[..., Any] = load
) -> Iterator[Manager]:
    manager = Manager(settings, loader)
    config = ModelConfig(name="m", base_path=base, policy=policy) if policy else ModelConfig(name="m", base_path=base)
    manager.configure((config,))
    manager.start()
    try:
        yield manager
    finally:
        manager.stop()


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not check():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def states(manager: Manager) -> dict[int, State]:
    try:
        return {status.version: status.state for status in manager.statuses("m")}
    except ServingError:
        return {}


def test_a_new_version_replaces_the_old_one_once_it_is_loaded(tmp_path: Path) -> None:
    """A request in between would find no model."""
    (tmp_path / "1").mkdir()
    with managing(tmp_path) as manager:
        eventually(lambda: states(manager) == {1: State.AVAILABLE})
        gaps: list[ServingError] = []
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                try:
                    manager.lookup("m").release()
                except ServingError as error:
                    gaps.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        (tmp_path / "2").mkdir()
        eventually(lambda: states(manager) == {2: State.AVAILABLE, 1: State.END})
        done.set()
        asking.join()
        assert not gaps
        assert manager.lookup("m").version == 2


def test_a_broken_version_never_replaces_a_good_one(tmp_path: Path) -> None:
    """A failed deployment would take the service down."""
    (tmp_path / "1").mkdir()
    with managing(tmp_path) as manager:
        eventually(lambda: states(manager) == {1: State.AVAILABLE})
        (tmp_path / "2").mkdir()
        (tmp_path / "2" / "broken").write_text("")
        eventually(lambda: states(manager) == {2: State.END, 1: State.AVAILABLE})
        assert manager.lookup("m").version == 1
        error = manager.statuses("m", 2)[0].error
        assert error is not None
        assert error.code is Code.OUT_OF_RANGE


def test_a_version_that_was_half_copied_is_loaded_once_it_is_whole(tmp_path: Path) -> None:
    """A slow copy into the base path would otherwise be given up for ever."""
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "broken").write_text("")
    with managing(tmp_path) as manager:
        eventually(lambda: states(manager) == {1: State.END})
        (tmp_path / "1" / "broken").unlink()
        eventually(lambda: states(manager) == {1: State.AVAILABLE})


def test_a_failed_load_is_tried_again_as_often_as_asked(tmp_path: Path) -> None:
    """File systems of clusters fail now and then."""
    (tmp_path / "1").mkdir()
    tries: list[int] = []

    def third_time(name: str, version: int, path: Path) -> Any:
        tries.append(version)
        if len(tries) < 3:
            raise ServingError(Code.UNAVAILABLE, "not now")
        return load(name, version, path)

    settings = LoadSettings(poll_seconds=0.02, retries=5, retry_seconds=0.01)
    with managing(tmp_path, settings=settings, loader=third_time) as manager:
        eventually(lambda: states(manager) == {1: State.AVAILABLE})
        assert tries == [1, 1, 1]


def test_a_first_version_is_noticed_long_before_the_poll_interval(tmp_path: Path) -> None:
    """A pipeline that starts the server while it trains would wait a poll interval for nothing."""
    base = tmp_path / "not yet there"
    with managing(base, settings=LoadSettings(poll_seconds=60)) as manager:
        time.sleep(0.1)
        (base / "1").mkdir(parents=True)
        start = time.monotonic()
        eventually(lambda: states(manager) == {1: State.AVAILABLE})
        assert time.monotonic() - start < 2


def test_versions_that_are_gone_from_the_policy_are_unloaded(tmp_path: Path) -> None:
    """Memory would fill with versions that nobody can want."""
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
    with managing(tmp_path, policy=All()) as manager:
        eventually(lambda: states(manager) == {1: State.AVAILABLE, 2: State.AVAILABLE})
        (tmp_path / "1").rmdir()
        eventually(lambda: states(manager) == {2: State.AVAILABLE, 1: State.END})
        with pytest.raises(ServingError, match=r"Servable not found for request: Specific\(m, 1\)"):
            manager.lookup("m", 1)


def test_a_base_path_that_vanishes_changes_nothing(tmp_path: Path) -> None:
    """A network mount that blinks must not unload what is served."""
    base = tmp_path / "base"
    (base / "1").mkdir(parents=True)
    with managing(base) as manager:
        eventually(lambda: states(manager) == {1: State.AVAILABLE})
        base.rename(tmp_path / "elsewhere")
        time.sleep(0.15)
        assert manager.lookup("m").version == 1


def test_models_that_are_no_longer_configured_are_let_go(tmp_path: Path) -> None:
    """A reload of the configuration could never remove a model."""
    (tmp_path / "1").mkdir()
    with managing(tmp_path) as manager:
        eventually(lambda: states(manager) == {1: State.AVAILABLE})
        manager.configure(())
        eventually(lambda: states(manager) == {1: State.END})
        with pytest.raises(ServingError, match="Servable not found"):
            manager.lookup("m")


def test_waiting_for_models_ends_when_none_of_their_versions_can_be_loaded(tmp_path: Path) -> None:
    """A server with nothing but a broken model would hang silently at its start."""
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "broken").write_text("")
    with managing(tmp_path) as manager, pytest.raises(ServingError, match="did not become available"):
        manager.wait_available(("m",), lambda: False, timeout=5)


def test_labels_lead_to_their_versions(tmp_path: Path) -> None:
    """`stable` and `canary` would answer alike."""
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
    manager = Manager(QUICK, load)
    manager.configure((ModelConfig(name="m", base_path=tmp_path, policy=All(), labels={"stable": 1, "canary": 2}),))
    manager.start()
    try:
        eventually(lambda: len(states(manager)) == 2)
        eventually(lambda: set(states(manager).values()) == {State.AVAILABLE})
        assert [manager.lookup("m", label=label).version for label in ("stable", "canary")] == [1, 2]
        with pytest.raises(ServingError, match="Unrecognized servable version label: nope"):
            manager.lookup("m", label="nope")
    finally:
        manager.stop()
