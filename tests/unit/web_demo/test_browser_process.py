"""What a browser leaves behind."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import suppress
from pathlib import Path

from web_demo.browser_process import _remove


def test_a_profile_that_is_still_written_to_is_removed(tmp_path: Path) -> None:
    """A CI that cancels would see a crash: the browser's helpers die a moment after the browser."""
    profile = tmp_path / "profile"
    profile.mkdir()
    ending = time.monotonic() + 0.4

    def write() -> None:
        with suppress(FileNotFoundError):  # the end of the profile
            for number in itertools.count():
                if time.monotonic() > ending:
                    return
                (profile / "Default").mkdir(exist_ok=True)
                (profile / "Default" / str(number)).touch()

    writer = threading.Thread(target=write)
    writer.start()
    _remove(profile)
    writer.join()
    assert not profile.exists()
