"""A stand-in for the embedded server, and an artifact that it can serve."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.signature import Signature, TensorSpec
from serving.engines.process import ServerProcess, launch

STAND_IN = Path(__file__).parent / "stand_in.py"


@dataclass(frozen=True)
class StandInLauncher:
    """Launches the stand-in where a Server would launch the embedded server."""

    behaviour: str = ""

    def __call__(self, arguments: Sequence[str], *, log: Path) -> ServerProcess:
        return launch([sys.executable, str(STAND_IN), *arguments, f"--stand_in={self.behaviour}"], log=log)


HALF_PLUS_TWO = Signature(
    name="serving_default",
    inputs=(TensorSpec(name="x", dtype="float32", shape=(None, 3)),),
    outputs=(TensorSpec(name="y", dtype="float32", shape=(None, 3)),),
)


def version_folder(root: Path, version: int, *, content: str = "a saved model", digest: str = "d1") -> Artifact:
    """An artifact whose folder looks like a SavedModel's version to a server that does not load it."""
    folder = root / "half" / str(version)
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content)
    (folder / "variables/variables.index").write_text("index")
    return Artifact(
        model="half",
        format=Format.SAVED_MODEL,
        precision=Precision.FLOAT32,
        path=folder,
        signature=HALF_PLUS_TWO,
        digest=digest,
        made_from=None,
        size_bytes=1,
    )


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return version_folder(tmp_path / "store", 1)
