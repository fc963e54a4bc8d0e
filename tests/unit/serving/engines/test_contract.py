"""What every engine is started with, whichever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.engines.contract import ServedModel, server_flags


@pytest.mark.parametrize("seconds", [0.05, 20.0, 300.0])
def test_rest_waits_longer_than_its_client(tmp_path: Path, seconds: float) -> None:
    """A batch of a large model can take more than TensorFlow Serving's 30 s: it failed over REST, and there alone."""
    model = ServedModel(
        name="large",
        base_path=tmp_path,
        log=tmp_path / "server.log",
        config=tmp_path / "config",
        call_within_seconds=seconds,
    )
    (flag,) = [flag for flag in server_flags(model, config_folder="/config") if "rest_api_timeout" in flag]
    assert int(flag.removeprefix("--rest_api_timeout_in_ms=")) > 1000 * seconds
