"""What the edge target says about itself before anything is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edge.runtime import EdgeProcess


def test_a_missing_environment_is_named_with_its_mend() -> None:
    """`doctor` is as good as the command that it tells."""
    missing = EdgeProcess(library="litert", python="edge/no-such-environment/bin/python").missing()
    assert missing == "there is no edge environment (edge/no-such-environment/bin/python); run: make setup"


def test_a_missing_library_is_named_with_its_mend() -> None:
    """An environment made by hand often has one of the two."""
    missing = EdgeProcess(library="litert", python=sys.executable).missing()
    assert missing == f"ai-edge-litert is not in the edge environment ({sys.executable}); run: make setup"


def test_a_command_that_is_not_there_is_named() -> None:
    """Without ssh on the machine there is no device to talk to."""
    missing = EdgeProcess(library="litert", command=("no-such-command", "pi@device")).missing()
    assert missing == "`no-such-command` is not on the PATH; correct edge.command in tripoint.toml"


def test_a_device_has_its_command_among_the_settings() -> None:
    """What one device answered must not be taken for another's answer."""
    here, there = (EdgeProcess(library="litert", command=("env", device)).settings() for device in ("A=1", "A=2"))
    assert here != there
    assert here["library"] == "litert"


def test_the_driver_and_the_runner_load_nothing_heavy(repository: Path) -> None:
    """tflite-runtime breaks in a process that has imported TensorFlow, and a device has nothing of ours."""
    script = """
import sys
import edge.runtime
assert not {"tensorflow", "tflite_runtime", "ai_edge_litert"} & set(sys.modules), "driver"
for name in [name for name in sys.modules if name.partition(".")[0] in ("edge", "pipeline")]:
    del sys.modules[name]
import edge.runner
ours = [name for name in sys.modules if name.partition(".")[0] in ("pipeline", "export", "serving", "models")]
assert not ours, ours
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
