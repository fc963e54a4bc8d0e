"""Where this machine's browser is, found without starting it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

_ON_PATH = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ON_MACOS = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)


def find_browser() -> Path | None:
    """An installed Chromium or Chrome, else the newest that Playwright has downloaded, else None."""
    for name in _ON_PATH:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    if sys.platform == "darwin":
        for path in _ON_MACOS:
            if path.is_file():
                return path
    return _downloaded_by_playwright(Path.home())


def _downloaded_by_playwright(home: Path) -> Path | None:
    match sys.platform:
        case "darwin":
            folder, inside = home / "Library/Caches/ms-playwright", "chrome-mac*/*.app/Contents/MacOS/*"
        case "win32":
            folder, inside = home / "AppData/Local/ms-playwright", "chrome-win*/chrome.exe"
        case _:
            folder, inside = home / ".cache/ms-playwright", "chrome-linux*/chrome"
    found = [path for path in folder.glob(f"chromium-*/{inside}") if path.is_file()]
    return max(found, key=_revision, default=None)


def _revision(path: Path) -> int:
    """The number in `chromium-1234`, the folder's name below Playwright's own."""
    name = next(part for part in path.parts if part.startswith("chromium-"))
    return int(name.removeprefix("chromium-"))
