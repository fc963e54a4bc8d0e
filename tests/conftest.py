"""What every test may use: how a missing runtime is treated, and where outside material lies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    # A shell that starts the tests in the background has them ignore Ctrl-C, and every program that they start, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def require() -> Callable[[str | None], None]:
    """Skip with the given reason, or fail under TRIPOINT_STRICT=1; None means that nothing is missing."""

    def check(reason: str | None) -> None:
        if reason is None:
            return
        if os.environ.get("TRIPOINT_STRICT") == "1":
            pytest.fail(f"missing under TRIPOINT_STRICT=1: {reason}", pytrace=False)
        pytest.skip(reason)

    return check


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT
