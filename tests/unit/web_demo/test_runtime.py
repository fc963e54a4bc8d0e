"""The browser runtime before anything is started."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Signature, TensorSpec
from pipeline.core.target import RuntimeInfo
from web_demo.parity_channel import ParityChannel
from web_demo.runtime import Browser, BrowserRunner, folder_digest


@pytest.fixture
def executable(tmp_path: Path) -> Path:
    path = tmp_path / "chrome"
    path.write_text("")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "parity.html").write_text("page")
    (folder / "kernels.json").write_text("{}")
    (folder / "assets/app.js").write_text("code")
    return folder


def test_nothing_is_missing_with_browser_and_page(executable: Path, dist: Path) -> None:
    """A reason given wrongly skips targets that could run."""
    assert Browser(executable=executable, page_dist=dist).missing() is None


def test_a_missing_browser_is_said_with_its_path(tmp_path: Path, dist: Path) -> None:
    """A typing error in tripoint.toml must not be hidden by another browser that was found."""
    reason = Browser(executable=tmp_path / "chorme", page_dist=dist).missing()
    assert reason is not None
    assert "chorme" in reason


def test_a_page_that_is_not_built_is_said_with_its_mend(executable: Path, tmp_path: Path) -> None:
    """After a fresh clone this is the first thing that anyone meets."""
    browser = Browser(executable=executable, page_dist=tmp_path / "none")
    reason = browser.missing()
    assert reason is not None
    assert "make setup" in reason
    with pytest.raises(TargetFailed, match="is not built"), browser.boot(tmp_path):
        pass


def test_a_page_that_is_older_than_its_sources_is_said_with_its_mend(executable: Path, dist: Path) -> None:
    """After a pull, a run would fail at its very end, once everything has been converted and asked."""
    (dist / "kernels.json").unlink()
    reason = Browser(executable=executable, page_dist=dist).missing()
    assert reason is not None
    assert "older than its sources" in reason
    assert "make setup" in reason


def test_settings_change_with_browser_and_page_and_with_nothing_else(executable: Path, dist: Path) -> None:
    """Recordings must be made again after an update of the browser or of the page, and only then."""
    browser = Browser(executable=executable, page_dist=dist)
    before = browser.settings()
    (dist / ".built").write_text("a mark that the set-up leaves")
    os.utime(dist / "parity.html", (1, 1))
    assert Browser(executable=executable, page_dist=dist).settings() == before
    os.utime(executable, (1, 1))
    updated = browser.settings()
    assert updated != before
    (dist / "assets/app.js").write_text("other code")
    assert browser.settings() != updated


def test_settings_cost_next_to_nothing(executable: Path, dist: Path) -> None:
    """They are read for every `tripoint run` that has nothing to do."""
    (dist / "assets/large.wasm").write_bytes(bytes(4_000_000))
    took = []
    for _ in range(5):
        began = time.perf_counter()
        Browser(executable=executable, page_dist=dist).settings()
        took.append(time.perf_counter() - began)
    # A browser that was started for its version would take longer than that even on an idle machine.
    assert min(took) < 0.3


def test_a_file_that_moves_changes_the_digest(dist: Path) -> None:
    """Names are part of a page: the same bytes under other names are another one."""
    before = folder_digest(dist)
    (dist / "assets/app.js").rename(dist / "app.js")
    assert folder_digest(dist) != before


def test_a_larger_batch_of_a_slow_model_has_the_time_that_it_takes() -> None:
    """A batch of 16 of a large model takes minutes without a card: it was given up as a page that hangs."""
    allowed: list[float] = []

    class Page(ParityChannel):
        def ask(self, instruction: Mapping[str, Any], *, inputs: bytes = b"", within_seconds: float) -> bytes:
            del inputs
            allowed.append(within_seconds)
            calls = np.full(16 // instruction["batchSize"], 20.0 * instruction["batchSize"], np.float32)
            return save({"call_seconds": calls, "output:y": np.zeros((16, 2), np.float32)})

    taken, given = (TensorSpec(name=name, dtype="float32", shape=(None, 2)) for name in ("x", "y"))
    runner = BrowserRunner(
        info=RuntimeInfo(runtime="TF.js", version="4", details={}),
        signature=Signature(name="s", inputs=(taken,), outputs=(given,)),
        channel=Page(),
        answer_within_seconds=120.0,
    )
    for size in (1, 16):
        runner.run({"x": np.zeros((16, 2), np.float32)}, batch_size=size)
    assert allowed[0] == 120.0
    assert allowed[1] > 16 * 20.0
