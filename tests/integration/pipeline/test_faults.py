"""Faults in real artifacts on real runtimes: a user would ship every one of them if the verdict let it pass."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline import config, golden, main_job, model_files
from pipeline.cells import Cell, artifact_of
from pipeline.core.artifact import Artifact, Precision
from pipeline.core.errors import ExitStatus, TargetFailed
from pipeline.core.outcome import Errored, Outcome
from pipeline.core.progress import nobody
from pipeline.core.signature import Tensors
from pipeline.core.target import Runtime, Session
from pipeline.golden import Golden
from pipeline.parity import record
from pipeline.parity.findings import NonFiniteDiffers
from pipeline.parity.judge import Verdict, judge
from pipeline.parity.row import Row, row_of
from pipeline.parity.status import Error, Fail
from pipeline.parity.tolerances import tolerances_for
from pipeline.store import Entry
from pipeline.workflow import Ran, run_steps
from tests.integration.pipeline.project import Project

BATCH_SIZES = (1, 64)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The finished run's artifacts and golden, and runtimes that are booted at the first use."""

    ran: Ran
    golden: Golden
    stack: ExitStack
    sessions: dict[Runtime, Session]
    scratch: Path

    def cell(self, name: str) -> Cell:
        return next(cell for cell in self.ran.cells if cell.name == name)

    def artifact(self, name: str) -> Artifact:
        cell = self.cell(name)
        made = self.ran.artifacts[cell.artifact_step]
        assert isinstance(made, Entry)
        return artifact_of(cell.target.consumes, cell.precision, "digits", exported=self.ran.exported, made=made)

    def copied(self, name: str, to: Path) -> Artifact:
        """The artifact in a folder of its own, to be damaged."""
        artifact = self.artifact(name)
        if artifact.path.is_dir():
            shutil.copytree(artifact.path, to / artifact.path.name)
        else:
            shutil.copy(artifact.path, to)
        return replace(artifact, path=to / artifact.path.name)

    def row(self, name: str, artifact: Artifact, samples: Tensors | None = None) -> Row:
        """Run the artifact on the cell's target as the main job does, and judge it."""
        target = self.cell(name).target
        if target.runtime not in self.sessions:
            scratch = self.scratch / str(len(self.sessions))
            scratch.mkdir()
            self.sessions[target.runtime] = self.stack.enter_context(target.runtime.boot(scratch))
        outcome: Outcome
        try:
            with self.sessions[target.runtime].load(artifact, target.variant) as runner:
                outcome = record.record(runner, samples or self.golden.inputs, batch_sizes=BATCH_SIZES)
        except TargetFailed as error:
            outcome = Errored(problem=error.problem, hint=error.hint)
        return row_of(
            outcome,
            target=target.name,
            format=artifact.format,
            precision=artifact.precision,
            artifact=artifact,
            reference=self.golden.reference,
            signature=artifact.signature,
            tolerances=tolerances_for(artifact.format, artifact.precision, {}, outputs=artifact.signature.output_names),
            labels=self.golden.labels,
            scores_output="probabilities",
        )


@pytest.fixture(scope="module")
def bench(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    settings = config.load(finished.folder)
    job = main_job.job(model_files.find("digits", settings), settings, engine="embedded")
    # Up to date, so this only reads; the runtimes of the cells are then booted without the workers' fork.
    ran = run_steps(job, observer=nobody)
    assert ran.made == ()
    with ExitStack() as stack:
        yield Bench(
            ran=_without_forks(ran),
            golden=golden.load(ran.trained.path / golden.GOLDEN_FILE),
            stack=stack,
            sessions={},
            scratch=tmp_path_factory.mktemp("scratch"),
        )


def _without_forks(ran: Ran) -> Ran:
    """The same run with a server that starts as a plain subprocess: the run's own workers have ended."""
    from serving.engines.embedded import launch_embedded
    from serving.runtime import Server

    def plain(cell: Cell) -> Cell:
        runtime = cell.target.runtime
        if not isinstance(runtime, Server):
            return cell
        return replace(cell, target=replace(cell.target, runtime=replace(runtime, launcher=launch_embedded)))

    return replace(ran, cells=tuple(plain(cell) for cell in ran.cells))


def expect_named(row: Row, verdict: Verdict) -> None:
    """The verdict disagrees, and says which target differs."""
    assert isinstance(row.status, Fail), row.status
    assert verdict.exit_status is ExitStatus.DISAGREES
    assert verdict.differing == (row.label,)
    assert row.label in verdict.headline


@pytest.mark.parametrize("backend", ["wasm", "webgl", "cpu"])
def test_two_classes_swapped_in_the_tfjs_weights(bench: Bench, tmp_path: Path, backend: str) -> None:
    """The browser would call every 3 an 8, and an accuracy gate of one target alone might be blind to it."""
    name = f"browser/{backend} float32"
    artifact = bench.copied(name, tmp_path)
    change_weights(artifact.path, shape=(64, 10), change=lambda kernel: kernel[:, [0, 1, 2, 8, 4, 5, 6, 7, 3, 9]])
    change_weights(artifact.path, shape=(10,), change=lambda bias: bias[[0, 1, 2, 8, 4, 5, 6, 7, 3, 9]])
    sound = bench.row("browser/cpu float32", bench.artifact("browser/cpu float32")) if backend != "cpu" else None
    row = bench.row(name, artifact)
    expect_named(row, judge([row] if sound is None else [sound, row]))
    scores = row.comparison.batches[0].outputs[0].scores if row.comparison else None
    assert scores is not None
    assert {(flip.want, flip.got) for flip in scores.flips} == {(3, 8), (8, 3)}


def test_a_truncated_weight_shard(bench: Bench, tmp_path: Path) -> None:
    """Half a download would answer something."""
    name = "browser/wasm float32"
    artifact = bench.copied(name, tmp_path)
    (shard,) = artifact.path.glob("*.bin")
    shard.write_bytes(shard.read_bytes()[:-1000])
    row = bench.row(name, artifact)
    verdict = judge([row])
    assert isinstance(row.status, Error)
    assert verdict.exit_status is ExitStatus.ENVIRONMENT
    assert verdict.errored == (name,)


def test_an_older_model_version_on_the_server(bench: Bench, finished: Project, tmp_path: Path) -> None:
    """The server would go on answering with last month's model."""
    settings = msgspec.structs.replace(config.load(finished.folder), folder=str(tmp_path))
    less_trained = main_job.job(model_files.find("digits", settings), settings, epochs=1, until="export")
    made = main_job.bring_up_to_date(less_trained, observer=nobody)["export"]
    # Under another number, since the server is asked for the very version that it should have.
    path = Path(made["path"], str(made["version"])).rename(tmp_path / "77")
    older = replace(bench.artifact("server/rest float32"), path=path)
    sound = bench.row("server/grpc float32", bench.artifact("server/grpc float32"))
    row = bench.row("server/rest float32", older)
    expect_named(row, judge([sound, row]))


@pytest.mark.parametrize(
    "name", ["server/rest float32", "edge/litert float32", "edge/tflite-runtime int8", "browser/wasm float32"]
)
def test_input_that_was_not_normalised(bench: Bench, name: str) -> None:
    """An app that forgets to divide by 16 would be believed right."""
    raw = {key: array * np.float32(16) for key, array in bench.golden.inputs.items()}
    row = bench.row(name, bench.artifact(name), samples=raw)
    expect_named(row, judge([row]))


def test_nan_from_one_target(bench: Bench, tmp_path: Path) -> None:
    """NaN compares false with everything, so a careless check lets it pass."""
    name = "browser/cpu float32"
    artifact = bench.copied(name, tmp_path)
    change_weights(artifact.path, shape=(10,), change=lambda bias: np.where(np.arange(10) == 4, np.nan, bias))
    row = bench.row(name, artifact)
    expect_named(row, judge([row]))
    assert isinstance(row.status, Fail)
    assert any(isinstance(found.finding, NonFiniteDiffers) for found in row.status.findings)
    assert "NaN" in row.status.findings[0].finding.sentence


def test_precisions_mixed_up(bench: Bench) -> None:
    """The small file would be shipped as the exact one."""
    small = replace(bench.artifact("edge/litert int8"), precision=Precision.FLOAT32)
    row = bench.row("edge/litert float32", small)
    expect_named(row, judge([row]))


def change_weights(
    folder: Path, *, shape: tuple[int, ...], change: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> None:
    """Rewrite the one weight of that shape in the only shard of a float32 graph model."""
    model = json.loads((folder / "model.json").read_text())
    (group,) = model["weightsManifest"]
    (path,) = group["paths"]
    shard = bytearray((folder / path).read_bytes())
    at = 0
    changed = 0
    for weight in group["weights"]:
        width = {"float32": 4, "int32": 4}[weight["dtype"]]
        size = int(np.prod(weight["shape"], dtype=np.int64)) * width
        if tuple(weight["shape"]) == shape:
            value = np.frombuffer(bytes(shard[at : at + size]), np.float32).reshape(shape)
            shard[at : at + size] = np.ascontiguousarray(change(value), np.float32).tobytes()
            changed += 1
        at += size
    assert changed == 1, f"{changed} weights of shape {shape}"
    (folder / path).write_bytes(shard)
