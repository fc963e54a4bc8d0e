"""The three runtimes, booted once, that artifacts are taken apart in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from edge.runtime import EdgeProcess
from export.tfjs_from_saved_model import tfjs_from_saved_model
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.target import Session
from pipeline.in_process import session_in
from tests.integration.exported import Exported, artifact
from web_demo.runtime import Browser


@pytest.fixture(scope="session")
def edge(require: Callable[[str | None], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    runtime = EdgeProcess(library="litert")
    require(runtime.missing())
    with runtime.boot(tmp_path_factory.mktemp("edge")) as session:
        yield session


@pytest.fixture(scope="session")
def browser(require: Callable[[str | None], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    runtime = Browser()
    require(runtime.missing())
    with runtime.boot(tmp_path_factory.mktemp("browser")) as session:
        yield session


@pytest.fixture(scope="session")
def in_process() -> Iterator[Session]:
    with ThreadPoolExecutor(1) as executor:
        yield session_in(executor)


@pytest.fixture(scope="session")
def small_tfjs(small: Exported, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("small-tfjs")
    source = small.saved_model
    tfjs_from_saved_model(source.path, into=folder, signature=source.signature, precision=Precision.FLOAT32)
    return artifact(source.model, Format.TFJS, Precision.FLOAT32, folder, source.signature)
