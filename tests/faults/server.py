"""Faults of serving: an old version, another model, a folder that was copied by halves, a router that was not moved."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.artifact import Artifact, Format
from pipeline.core.target import Session
from serving.runtime import Server, ServerSession
from tests.faults import edits
from tests.faults.fault import Group, Workbench
from tests.faults.materials import renewed
from tests.faults.rest_proxy import sent_elsewhere
from tests.faults.rig import Place, Run

SERVER = Group("server")


@SERVER.fault("an old version served", "stale_weights", quick=True)
def _(bench: Workbench) -> Run:
    older = bench.digits.exported(bench.digits.older, bench.folder, bench.digits.output_names)
    return bench.rig.run(bench.digits, older, bench.rig.server("rest"))


@SERVER.fault("another model served under the name", "other_model")
def _(bench: Workbench) -> Run:
    other = bench.digits.exported(bench.digits.other, bench.folder, bench.digits.output_names)
    return bench.rig.run(bench.digits, other, bench.rig.server("grpc"))


@SERVER.fault("a version folder copied by halves", "artifact_incomplete")
def _(bench: Workbench) -> Run:
    artifact = edits.copied(bench.digits.artifact(Format.SAVED_MODEL), bench.folder)
    shutil.rmtree(artifact.path / "variables")
    place = Place(
        name="server/rest",
        runtime=Server(model_name="digits", engine="embedded", ready_within_seconds=60, call_within_seconds=61),
        variant="rest",
    )
    return bench.rig.run(bench.digits, renewed(artifact), place)


@SERVER.fault("a router that still sends to the old server", "stale_weights")
def _(bench: Workbench) -> Run:
    older = bench.digits.exported(bench.digits.older, bench.folder / "older", bench.digits.output_names)
    return bench.rig.run(
        bench.digits,
        bench.digits.artifact(Format.SAVED_MODEL),
        bench.rig.server("rest"),
        around=lambda session: _routed(session, older, bench.folder),
    )


@contextmanager
def _routed(session: Session, older: Artifact, folder: Path) -> Iterator[Session]:
    """The session behind a router that knows a second real server only, which serves the older version."""
    scratch = folder / "second"
    scratch.mkdir()
    with Server(model_name="digits", engine="embedded").boot(scratch) as second, second.load(older, "rest"):
        assert isinstance(second, ServerSession)
        addresses = second.server.addresses()
        assert addresses is not None
        with sent_elsewhere(session, lambda: addresses.rest) as routed:
            yield routed
