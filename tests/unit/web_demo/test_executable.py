"""Which browser is taken, among several and none."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from web_demo.executable import find_browser


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder and a PATH folder, both empty."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_no_browser_is_no_error_yet(bare_machine: Path) -> None:
    """`doctor` asks on machines without one, and says what to do."""
    assert find_browser() is None


def test_chromium_comes_before_chrome(bare_machine: Path) -> None:
    """The same machine must give the same browser every time, or recordings go stale."""
    program(bare_machine / "bin/google-chrome")
    chromium = program(bare_machine / "bin/chromium")
    assert find_browser() == chromium


def test_the_newest_of_playwrights_own_is_the_last_resort(bare_machine: Path) -> None:
    """Compared as text, revision 999 would win over 1200."""
    cache = bare_machine / ".cache/ms-playwright"
    program(cache / "chromium-999/chrome-linux/chrome")
    newest = program(cache / "chromium-1200/chrome-linux64/chrome")
    program(cache / "firefox-1300/firefox/firefox")
    assert find_browser() == newest
