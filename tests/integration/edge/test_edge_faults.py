"""What goes wrong with runners and files, for real: each a clear error, and never a process that stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.runtime import EdgeProcess
from pipeline.core.artifact import Artifact, Precision
from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Signature, Tensors, TensorSpec
from tests.integration.exported import Exported

_GONE_WITHIN_SECONDS = 10.0


def runner_of(parent: int, library: str) -> int:
    """The id of the runner process that `parent` started last."""
    started: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            facts = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(facts[1]) == parent and b"edge.runner" in command and library.encode() in command:
            started[int(facts[19])] = int(entry.name)
    return started[max(started)]


def gone(process: int) -> bool:
    """True once it has ended; an orphan then waits for init to take note of it."""
    deadline = time.monotonic() + _GONE_WITHIN_SECONDS
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def long_work(small: Exported) -> Tensors:
    """Samples that keep a runner busy for many seconds."""
    return {"image": np.repeat(small.samples["image"], 400, axis=0)}


@pytest.mark.parametrize("kept_bytes", [0, 7, 4096, 0.5, 0.99])
def test_a_truncated_file_is_an_error_and_the_next_one_runs(
    edge: EdgeProcess,
    small: Exported,
    small_tflite: Mapping[Precision, Artifact],
    tmp_path: Path,
    kept_bytes: float,
) -> None:
    """One damaged artifact must not take the verdict on the others with it, even if it brings the runtime down."""
    whole = small_tflite[Precision.FLOAT32]
    content = whole.path.read_bytes()
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(content[: int(kept_bytes if kept_bytes >= 1 else kept_bytes * len(content))])
    with edge.boot(tmp_path) as session:
        with (
            pytest.raises(TargetFailed) as raised,
            session.load(replace(whole, path=damaged), "") as runner,
        ):
            runner.run(small.samples, batch_size=64)
        assert "does not load" in raised.value.problem or "runner ended" in raised.value.problem
        with session.load(whole, "") as runner:
            assert len(runner.run(small.samples, batch_size=64).outputs["probabilities"]) == 360


def test_a_killed_runner_is_an_error_with_its_signal(
    edge: EdgeProcess, small_tflite: Mapping[Precision, Artifact], long_work: Tensors, tmp_path: Path
) -> None:
    """On a small device the system kills for want of memory; waiting for the deadline would hide that."""
    with edge.boot(tmp_path) as session, session.load(small_tflite[Precision.FLOAT32], "") as runner:
        process = runner_of(os.getpid(), edge.library)
        threading.Timer(0.5, os.kill, (process, signal.SIGKILL)).start()
        with pytest.raises(TargetFailed, match="killed by SIGKILL") as raised:
            runner.run(long_work, batch_size=1)
    assert "memory" in raised.value.hint
    assert gone(process)


def test_a_runner_that_hangs_is_killed_at_the_deadline(
    edge: EdgeProcess, small: Exported, small_tflite: Mapping[Precision, Artifact], tmp_path: Path
) -> None:
    """A run that never ends blocks a CI job for hours."""
    impatient = replace(edge, silent_for_seconds=3.0)
    with impatient.boot(tmp_path) as session, session.load(small_tflite[Precision.FLOAT32], "") as runner:
        process = runner_of(os.getpid(), edge.library)
        os.kill(process, signal.SIGSTOP)
        with pytest.raises(TargetFailed, match="`run` said nothing for 3 s"):
            runner.run(small.samples, batch_size=7)
    assert gone(process)


def test_long_work_is_not_a_hang(
    edge: EdgeProcess, small_tflite: Mapping[Precision, Artifact], long_work: Tensors, tmp_path: Path
) -> None:
    """A deadline on the whole run would fail large models on slow devices, where nothing is wrong."""
    impatient = replace(edge, silent_for_seconds=2.0)
    with impatient.boot(tmp_path) as session, session.load(small_tflite[Precision.FLOAT32], "") as runner:
        started = time.monotonic()
        answers = runner.run(long_work, batch_size=1)
        assert time.monotonic() - started > impatient.silent_for_seconds
    assert len(answers.outputs["probabilities"]) == len(long_work["image"])


def test_a_python_that_is_told_to_keep_to_safe_paths_finds_the_runner(
    edge: EdgeProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some companies set it for everybody; and we do, for the moment in which our own workers start."""
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    with edge.boot(tmp_path):
        pass


def test_the_runner_is_gone_after_the_block(edge: EdgeProcess, tmp_path: Path) -> None:
    """Runners that stay behind fill a device's memory run after run."""
    with pytest.raises(KeyboardInterrupt), edge.boot(tmp_path):
        process = runner_of(os.getpid(), edge.library)
        raise KeyboardInterrupt
    assert gone(process)


def test_the_runner_dies_with_its_driver(
    edge: EdgeProcess, small_tflite: Mapping[Precision, Artifact], tmp_path: Path, repository: Path
) -> None:
    """A driver that is killed cannot clean up; its runner, in the middle of a long call, must notice by itself."""
    driver = textwrap.dedent(f"""
        import numpy as np
        from pathlib import Path
        from edge.runtime import EdgeProcess
        from edge.wire import Frame
        with EdgeProcess(library={edge.library!r}).boot(Path({str(tmp_path)!r})) as session:
            process = session._process
            model = np.fromfile({str(small_tflite[Precision.FLOAT32].path)!r}, dtype=np.uint8)
            how = {{"signature": "serving_default", "threads": 1, "in_integers": False}}
            load = Frame({{"do": "load", **how}}, {{"model": model}})
            process.ask(load, silent_for_seconds=10)
            print(process.process.pid, flush=True)
            images = np.zeros((300_000, 8, 8, 1), np.float32)
            process.ask(Frame({{"do": "run", "batch_size": 300_000}}, {{"image": images}}), silent_for_seconds=60)
    """)
    with subprocess.Popen([sys.executable, "-c", driver], cwd=repository, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        runner = int(process.stdout.readline())
        time.sleep(1.0)
        assert Path(f"/proc/{runner}").exists()
        process.kill()
    assert gone(runner)


def test_what_prints_into_the_answers_is_named(edge: EdgeProcess, tmp_path: Path) -> None:
    """On a device, a start-up file of the shell that greets its user breaks every program that talks over ssh."""
    greeting = replace(edge, command=("sh", "-c", 'echo Welcome to the device; exec "$0" "$@"'))
    with pytest.raises(TargetFailed, match="Welcome") as raised, greeting.boot(tmp_path):
        pass
    assert "start-up file" in raised.value.hint


def test_the_same_runner_works_behind_a_command(
    edge: EdgeProcess, small: Exported, small_tflite: Mapping[Precision, Artifact], tmp_path: Path, repository: Path
) -> None:
    """With ssh in its place this is a real device: nothing may pass by the two pipes."""
    device = tmp_path / "device"
    device.mkdir()
    (device / "edge").symlink_to(repository / "edge")
    remote = replace(edge, command=("env", f"--chdir={device}"))
    assert remote.missing() is None
    with remote.boot(tmp_path) as session, session.load(small_tflite[Precision.INT8], "") as runner:
        answers = runner.run(small.samples, batch_size=64)
    assert np.abs(answers.outputs["probabilities"] - small.answers["probabilities"]).max() < 0.1


def test_a_loop_whose_batch_changes_says_what_fails(
    edge: EdgeProcess, small_tflite: Mapping[Precision, Artifact], tmp_path: Path
) -> None:
    """Nothing stood behind the colon, and nobody could know that batches of one size would do."""
    import tensorflow as tf

    def halved(x: object) -> object:
        _, summed = tf.while_loop(lambda n, _: n < 3, lambda n, y: (n + 1, tf.tanh(y) * 0.5), [0, x])
        return {"y": summed}

    spec = tf.TensorSpec((None, 6), tf.float32, name="x")
    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=tf.function(halved, input_signature=[spec]))
    (tmp_path / "m.tflite").write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "m")).convert())
    x, y = (TensorSpec(name=name, dtype="float32", shape=(None, 6)) for name in ("x", "y"))
    artifact = replace(
        small_tflite[Precision.FLOAT32],
        path=tmp_path / "m.tflite",
        signature=Signature(name="serving_default", inputs=(x,), outputs=(y,)),
    )
    rows = {"x": np.ones((7, 6), np.float32)}
    with edge.boot(tmp_path) as session, session.load(artifact, "") as runner:
        assert len(runner.run(rows, batch_size=1).outputs["y"]) == 7
        if edge.library == "litert":
            assert len(runner.run(rows, batch_size=7).outputs["y"]) == 7
            return
        with pytest.raises(TargetFailed, match="gives no reason, and answers where it is asked this first") as failed:
            runner.run(rows, batch_size=7)
        assert "batch_sizes = [1]" in failed.value.hint
