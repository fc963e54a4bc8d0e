"""The edge runners of both libraries, booted once for the tests that leave them unharmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from edge.runtime import EdgeProcess
from pipeline.core.target import Session


@pytest.fixture(scope="session", params=["tflite-runtime", "litert"])
def edge(request: pytest.FixtureRequest, require: Callable[[str | None], None]) -> EdgeProcess:
    """Each library in turn."""
    runtime = EdgeProcess(library=request.param)
    require(runtime.missing())
    return runtime


@pytest.fixture(scope="session")
def edge_session(edge: EdgeProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with edge.boot(tmp_path_factory.mktemp("edge")) as session:
        yield session
