"""Real models, converted once, and a real browser, started once for the tests that leave it unharmed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.web_demo.models import TestModel
from web_demo.runtime import Browser, BrowserSession

MAKE_WITHIN_SECONDS = 180


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    folder = tmp_path_factory.mktemp("browser-models")
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.web_demo.make_models", str(folder)],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=MAKE_WITHIN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def digits(models_folder: Path) -> TestModel:
    return TestModel.read(models_folder / "digits")


@pytest.fixture(scope="session")
def pair(models_folder: Path) -> TestModel:
    return TestModel.read(models_folder / "pair")


@pytest.fixture(scope="session")
def loop(models_folder: Path) -> TestModel:
    return TestModel.read(models_folder / "loop")


@pytest.fixture(scope="session")
def recurrent(models_folder: Path) -> TestModel:
    return TestModel.read(models_folder / "recurrent")


@pytest.fixture(scope="session", params=["two_products", "two_averages"])
def two_shapes(request: pytest.FixtureRequest, models_folder: Path) -> TestModel:
    return TestModel.read(models_folder / request.param)


@pytest.fixture(scope="session")
def browser(require: Callable[[str | None], None]) -> Browser:
    browser = Browser(answer_within_seconds=60)
    require(browser.missing())
    return browser


@pytest.fixture(scope="module")
def session(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserSession]:
    with browser.boot(tmp_path_factory.mktemp("browser")) as session:
        yield session
