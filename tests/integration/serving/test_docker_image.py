"""The image of the embedded server keeps the official image's contract, and is built once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from serving.image.build import context_files, ensure_image

if TYPE_CHECKING:
    from docker import DockerClient


def test_an_unchanged_image_is_not_built_again(serving_image: str) -> None:
    """A build takes minutes, and tests ask for the image each time."""
    started = time.monotonic()
    assert ensure_image() == serving_image
    assert time.monotonic() - started < 30


def test_the_image_declares_the_contract(docker_client: DockerClient, serving_image: str) -> None:
    """Whoever deploys `tensorflow/serving` by its ports and variables deploys this one unchanged."""
    config: dict[str, Any] = docker_client.images.get(serving_image).attrs["Config"]
    environment = dict(entry.split("=", 1) for entry in config["Env"])
    assert (environment["MODEL_NAME"], environment["MODEL_BASE_PATH"]) == ("model", "/models")
    assert set(config["ExposedPorts"]) == {"8500/tcp", "8501/tcp"}
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"][0] == "CMD"


def test_only_what_the_server_needs_is_inside() -> None:
    """Every other file is one more reason to build again, and one more thing to attack."""
    app = {name for name in context_files() if name.startswith("app/")}
    assert all(name.startswith(("app/serving/", "app/pipeline/")) or name.count("/") == 1 for name in app)
    assert "app/serving/embedded/__main__.py" in app
    assert "app/serving/runtime.py" not in app
    assert "app/pipeline/workflow.py" not in app
