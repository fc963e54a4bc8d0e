"""An image that is here, can be pulled, or cannot be had."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, cast

import pytest

from pipeline.core.errors import EnvironmentProblem
from pipeline.core.progress import Progress
from serving.engines.docker_image import image_missing, local_or_pulled
from tests.unit.serving.engines.fake_docker import FakeDocker, FakeImage, api_error

NAME = "tensorflow/serving:2.21.0"


def pull(client: FakeDocker, events: list[Progress] | None = None) -> Any:
    seen: list[Progress] = [] if events is None else events
    fake = cast("Any", client)
    return local_or_pulled(fake, NAME, platform="linux/amd64", patient=lambda: nullcontext(fake), observer=seen.append)


def test_an_image_that_is_here_is_not_pulled() -> None:
    """Asking the registry each time costs seconds, and fails on a train."""
    image = FakeImage()
    assert pull(FakeDocker(images_here={NAME: image})) is image


def test_a_pull_tells_how_far_it_is() -> None:
    """Some hundred megabytes without a sign of life look like a hang."""
    layer = {"id": "a", "status": "Downloading"}
    client = FakeDocker(
        pulled=FakeImage(),
        pull_events=[
            {"status": "Pulling from tensorflow/serving"},
            {**layer, "progressDetail": {"current": 1, "total": 4}},
            {"id": "b", "status": "Downloading", "progressDetail": {"current": 2, "total": 6}},
            {"id": "a", "status": "Download complete", "progressDetail": {}},
            {"id": "a", "status": "Extracting", "progressDetail": {"current": 1, "total": 9}},
        ],
    )
    events: list[Progress] = []
    pull(client, events)
    assert [(event.done, event.total) for event in events] == [(None, None), (1, 4), (3, 10), (6, 10), (6, 10)]


@pytest.mark.parametrize(
    ("error", "problem", "hint"),
    [
        ("no matching manifest for linux/arm64/v8", "is not made for linux/amd64", "python -m serving.image"),
        ("dial tcp: lookup registry: no such host", "cannot be pulled", "the network"),
        ("pull access denied, repository does not exist", "cannot be pulled", "the name"),
    ],
)
def test_a_pull_that_fails_comes_with_its_mend(error: str, problem: str, hint: str) -> None:
    """Wrong processor, no network and a mistyped name are three different afternoons."""
    with pytest.raises(EnvironmentProblem) as caught:
        pull(FakeDocker(pull_events=[{"error": error}]))
    assert problem in caught.value.problem
    assert error in caught.value.problem
    assert hint in caught.value.hint


def test_an_image_for_another_processor_is_refused() -> None:
    """Under emulation it would run, at a tenth of the speed, or die of SIGILL."""
    client = FakeDocker(images_here={NAME: FakeImage(platform="linux/arm64")})
    with pytest.raises(EnvironmentProblem, match="made for linux/arm64, and linux/amd64 is wanted"):
        pull(client)
    reason = image_missing(cast("Any", client), NAME, platform="linux/amd64")
    assert reason is not None
    assert "linux/arm64" in reason


def test_an_unreachable_registry_is_a_reason_to_pass_docker_over() -> None:
    """`auto` must not end the run because a registry is down."""
    client = FakeDocker(registry_error=api_error("no such host"))
    reason = image_missing(cast("Any", client), NAME, platform="linux/amd64")
    assert reason == f"the image {NAME} is not here and cannot be pulled (no such host)"
