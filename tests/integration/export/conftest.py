"""The runtimes that converted models are tried on, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge.runtime import EdgeProcess
from pipeline.core.target import Session
from web_demo.runtime import Browser


@pytest.fixture(scope="session")
def old_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with EdgeProcess(library="tflite-runtime").boot(tmp_path_factory.mktemp("old-edge")) as session:
        yield session


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with EdgeProcess(library="litert").boot(tmp_path_factory.mktemp("edge")) as session:
        yield session


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Browser().boot(tmp_path_factory.mktemp("browser")) as session:
        yield session
