"""The server runtime against a stand-in server: both protocols, changing versions, and every way to fail."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.artifact import Artifact
from pipeline.core.errors import TargetFailed
from serving.runtime import Server
from tests.unit.serving.conftest import StandInLauncher, version_folder

SAMPLES = {"x": np.arange(15, dtype=np.float32).reshape(5, 3)}


def server(behaviour: str = "", **settings: float) -> Server:
    return Server(
        model_name="half",
        engine="embedded",
        launcher=StandInLauncher(behaviour),
        ready_within_seconds=settings.get("ready", 20.0),
        call_within_seconds=settings.get("call", 20.0),
    )


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_every_sample_is_answered_in_order_whatever_the_batch_size(
    protocol: str, artifact: Artifact, tmp_path: Path
) -> None:
    """Else the last, shorter batch would be lost, or rows compared with those of other samples."""
    with server().boot(tmp_path / "s") as session, session.load(artifact, protocol) as runner:
        answers = runner.run(SAMPLES, batch_size=2)
    assert answers.outputs["y"].dtype == np.float32
    np.testing.assert_array_equal(answers.outputs["y"], SAMPLES["x"] / 2 + 2)
    assert answers.call_seconds.shape == (3,)


def test_the_report_says_what_ran_and_why(artifact: Artifact, tmp_path: Path) -> None:
    """A reader must see whether a green line is TensorFlow Serving's or the embedded server's."""
    with server().boot(tmp_path / "s") as session, session.load(artifact, "rest") as runner:
        assert runner.info.runtime == "Tripoint embedded server"
        assert runner.info.details["engine"] == "embedded"
        assert runner.info.details["why"] == "asked for"


def test_the_second_protocol_copies_nothing(artifact: Artifact, tmp_path: Path) -> None:
    """A large model would be copied, and loaded by the server, once for each protocol."""
    with server().boot(tmp_path / "s") as session:
        with session.load(artifact, "rest"):
            placed = (tmp_path / "s/models/half/1").stat()
        with session.load(artifact, "grpc"):
            assert (tmp_path / "s/models/half/1").stat().st_ino == placed.st_ino


def test_an_older_version_is_served_when_it_is_loaded_after_a_newer_one(tmp_path: Path) -> None:
    """A server keeps to the highest version in its folder, so the older one would never become available."""
    first, second = (version_folder(tmp_path, number, digest=f"d{number}") for number in (1, 2))
    with server().boot(tmp_path / "s") as session:
        for one in (first, second, first):
            with session.load(one, "grpc") as runner:
                assert runner.run(SAMPLES, batch_size=5).outputs["y"].shape == (5, 3)


def test_a_version_is_never_silently_another_artifact(tmp_path: Path) -> None:
    """The server would go on answering with the first, and the comparison would be of the wrong model."""
    first = version_folder(tmp_path / "a", 1, digest="d1")
    other = version_folder(tmp_path / "b", 1, digest="d2")
    with server().boot(tmp_path / "s") as session:
        with session.load(first, "rest"):
            pass
        with pytest.raises(TargetFailed, match="served from another artifact"), session.load(other, "rest"):
            pass


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_server_that_is_killed_while_asked_is_named_within_two_seconds(
    protocol: str, artifact: Artifact, tmp_path: Path
) -> None:
    """A run must not hang for the whole deadline when the kernel killed the server for memory."""
    with server("die_on_predict").boot(tmp_path / "s") as session, session.load(artifact, protocol) as runner:
        started = time.monotonic()
        with pytest.raises(TargetFailed) as caught:
            runner.run(SAMPLES, batch_size=5)
    assert time.monotonic() - started < 2
    assert "killed by SIGKILL" in caught.value.problem
    assert "serving half" in caught.value.problem
    assert "memory" in caught.value.hint


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_server_that_does_not_answer_costs_one_deadline(protocol: str, artifact: Artifact, tmp_path: Path) -> None:
    """A stuck kernel would hang the pipeline for ever."""
    stuck = server("hang_on_predict", call=0.5)
    with stuck.boot(tmp_path / "s") as session, session.load(artifact, protocol) as runner:
        started = time.monotonic()
        with pytest.raises(TargetFailed, match="still runs, but did not answer"):
            runner.run(SAMPLES, batch_size=5)
    assert time.monotonic() - started < 4


def test_a_server_that_exits_at_once_ends_the_wait_at_once(artifact: Artifact, tmp_path: Path) -> None:
    """Waiting out two minutes for a process that is gone hides the line that says why."""
    with server("exit:3").boot(tmp_path / "s") as session:
        started = time.monotonic()
        with pytest.raises(TargetFailed, match="exit code 3") as caught, session.load(artifact, "rest"):
            pass
    assert time.monotonic() - started < 5
    assert "serving half" in caught.value.problem


def test_a_server_that_never_gets_ready_costs_the_deadline_and_shows_its_log(
    artifact: Artifact, tmp_path: Path
) -> None:
    """Without the log's end nobody can tell a slow load from a wrong folder."""
    with (
        server("never_ready", ready=3).boot(tmp_path / "s") as session,
        pytest.raises(TargetFailed, match=r"not available within 3 s") as caught,
        session.load(artifact, "rest"),
    ):
        pass
    assert "ports are not open yet" in caught.value.problem
    assert "serving half" in caught.value.problem


def test_a_version_that_does_not_load_is_reported_with_the_servers_words(artifact: Artifact, tmp_path: Path) -> None:
    """A truncated SavedModel must read as such, not as a time-out."""
    with (
        server("load_fails").boot(tmp_path / "s") as session,
        pytest.raises(TargetFailed, match="Read less bytes than requested"),
        session.load(artifact, "rest"),
    ):
        pass


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_an_output_that_the_signature_lacks_fails(protocol: str, artifact: Artifact, tmp_path: Path) -> None:
    """Comparing only the outputs that both have would let a server of another model pass."""
    with (
        server("extra_output").boot(tmp_path / "s") as session,
        session.load(artifact, protocol) as runner,
        pytest.raises(TargetFailed, match="z"),
    ):
        runner.run(SAMPLES, batch_size=5)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_missing_row_fails(protocol: str, artifact: Artifact, tmp_path: Path) -> None:
    """A dropped row would shift every later one against its sample."""
    with (
        server("drop_a_row").boot(tmp_path / "s") as session,
        session.load(artifact, protocol) as runner,
        pytest.raises(TargetFailed, match=r"shape \[4, 3\], expected 5 rows"),
    ):
        runner.run(SAMPLES, batch_size=5)


def test_no_server_is_left_after_the_block(artifact: Artifact, tmp_path: Path) -> None:
    """A server left behind holds its memory until the machine is started anew."""
    with server().boot(tmp_path / "s") as session, session.load(artifact, "rest"):
        pid = int(session.server.label.rpartition(" ")[2].rstrip(")"))
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
