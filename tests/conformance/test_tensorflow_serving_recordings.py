"""Every exchange recorded from a genuine TensorFlow Serving is answered alike by the embedded server.

The recordings stand outside the repository, in the folder that TRIPOINT_TFSERVING names. docs/serving.md lists each
exchange that is answered differently, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conformance.replaying import Servers, Tally, replay_lifecycle, replay_rest, replay_rpc

ROOT = Path(__file__).resolve().parents[2]

DIFFERENT = {
    "monitoring": {"monitoring/006", "monitoring/008"},
}
"""Recorded names of the exchanges that are answered differently, by file."""

REST = (
    *("batching", "classify", "cors", "http", "json", "metadata", "monitoring", "predict_bytes_echo"),
    *("predict_classify_regress", "predict_counter", "predict_digits", "predict_dtypes", "predict_fixed_batch"),
    *("predict_half_plus_two", "predict_many_signatures", "predict_multi_io", "predict_numbers", "predict_scalar_out"),
    *("predict_slow", "predict_two_versions", "regress", "status", "timeout"),
)
RPC = (*("Classify", "GetModelMetadata", "GetModelStatus", "MultiInference", "Predict", "Regress", "ReloadConfig"),)


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder with the recordings; a folder that is named but missing is a failure, not a skip."""
    named = os.environ.get("TRIPOINT_TFSERVING")
    folder = Path(named) if named else ROOT.parent / "shared" / "tfserving"
    if folder.is_dir():
        return folder
    if named and os.environ.get("TRIPOINT_STRICT") == "1":
        pytest.fail(f"TRIPOINT_TFSERVING names {folder}, which is not there")
    pytest.skip(f"no recordings of TensorFlow Serving at {folder}; TRIPOINT_TFSERVING names their folder")


@pytest.fixture(scope="module")
def servers(recordings: Path) -> Iterator[Servers]:
    """The servers of all files, closed at the end."""
    with ExitStack() as closing:
        yield Servers(recordings / "models", closing)


def assert_alike(name: str, tally: Tally) -> None:
    print(f"{name}: {tally.alike} of {tally.total} answered alike")
    for exchange, finding in tally.different.items():
        print(f"  {exchange}: {finding}")
    assert set(tally.different) == DIFFERENT.get(name, set())
    assert tally.total


@pytest.mark.parametrize("name", REST)
def test_rest_exchanges_are_answered_alike(name: str, recordings: Path, servers: Servers) -> None:
    """A client written for TensorFlow Serving would notice the difference."""
    assert_alike(name, replay_rest(recordings / "rest" / f"{name}.jsonl", servers))


@pytest.mark.parametrize("name", RPC)
def test_calls_are_answered_alike(name: str, recordings: Path, servers: Servers) -> None:
    """A gRPC client would notice the difference."""
    assert_alike(name, replay_rpc(recordings / "rpc" / f"{name}.jsonl", servers))


def test_the_lifes_of_servers_are_alike(recordings: Path) -> None:
    """A deployment that adds, breaks or removes versions would go another way."""
    assert_alike("lifecycle", replay_lifecycle(recordings / "rest" / "lifecycle.jsonl", recordings / "models"))


def test_no_recording_is_left_out(recordings: Path) -> None:
    """A file that is added to the recordings must not go unnoticed."""
    assert {path.stem for path in (recordings / "rest").glob("*.jsonl")} == {*REST, "lifecycle"}
    assert {path.stem for path in (recordings / "rpc").glob("*.jsonl")} == set(RPC)
