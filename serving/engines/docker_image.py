"""The image of a server: is it there, for this kind of processor, and if not, pulled with progress."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import EnvironmentProblem
from pipeline.core.progress import Observer, Progress
from serving.engines.docker_daemon import OTHER_ENGINE

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

_STAGE = "serve"
_OUR_IMAGE = "build ours with `python -m serving.image` and name it with `--image`"


def daemon_platform(client: DockerClient) -> str:
    """The platform of the daemon's machine, such as `linux/arm64`."""
    version = client.version()
    return f"{version['Os']}/{version['Arch']}"


def image_missing(client: DockerClient, name: str, *, platform: str) -> str | None:
    """Why the image cannot be run there: neither local nor to be pulled, or for another platform. None if it can."""
    from docker.errors import APIError, ImageNotFound
    from requests.exceptions import RequestException

    try:
        image = client.images.get(name)
    except ImageNotFound:
        pass
    else:
        return _wrong_platform(image, name, platform=platform)
    try:
        data = client.images.get_registry_data(name)
    except (APIError, RequestException) as error:
        return f"the image {name} is not here and cannot be pulled ({_explained(error)})"
    made = data.has_platform(platform)  # type: ignore[no-untyped-call]  # the stubs leave it bare
    return None if made else f"the image {name} is not made for {platform}"


def local_or_pulled(
    client: DockerClient,
    name: str,
    *,
    platform: str,
    patient: Callable[[], AbstractContextManager[DockerClient]],
    observer: Observer,
) -> Image:
    """The image, pulled when it is not here; raises EnvironmentProblem when it cannot be had for the platform.

    `patient` opens a client that bears the minutes in which a pull may be silent.
    """
    from docker.errors import ImageNotFound

    try:
        image = client.images.get(name)
    except ImageNotFound:
        with patient() as puller:
            _pull(puller, name, platform=platform, observer=observer)
        image = client.images.get(name)
    problem = _wrong_platform(image, name, platform=platform)
    if problem is not None:
        raise EnvironmentProblem(problem, hint=f"{_OUR_IMAGE}, {OTHER_ENGINE}")
    return image


def digest_of(image: Image) -> str:
    """The digest under which a registry has it, or the image's own id when no registry does."""
    known = image.attrs.get("RepoDigests") or []
    return str(known[0]).partition("@")[2] if known else str(image.id)


def _wrong_platform(image: Image, name: str, *, platform: str) -> str | None:
    made_for = f"{image.attrs.get('Os')}/{image.attrs.get('Architecture')}"
    # A platform may have a third part, the variant, which images seldom name.
    if platform.split("/")[:2] == made_for.split("/")[:2]:
        return None
    return f"the image {name} is made for {made_for}, and {platform} is wanted"


def _pull(client: DockerClient, name: str, *, platform: str, observer: Observer) -> None:
    from docker.errors import APIError
    from docker.utils import parse_repository_tag
    from requests.exceptions import RequestException

    repository, tag = parse_repository_tag(name)
    layers: dict[str, tuple[int, int]] = {}
    observer(Progress(stage=_STAGE, message=f"pulling {name}"))
    try:
        for event in client.api.pull(repository, tag or "latest", platform=platform, stream=True, decode=True):
            if "error" in event:
                raise _not_pullable(name, str(event["error"]), platform=platform)
            _count(event, layers)
            if layers:
                done, total = (sum(column) for column in zip(*layers.values(), strict=True))
                observer(Progress(stage=_STAGE, message=f"pulling {name}", done=done, total=total))
    except (APIError, RequestException) as error:
        raise _not_pullable(name, _explained(error), platform=platform) from error


def _count(event: dict[str, Any], layers: dict[str, tuple[int, int]]) -> None:
    """Note how many bytes of a layer were downloaded. Unpacking counts the same bytes again, and is left out."""
    detail = event.get("progressDetail") or {}
    if event.get("status") == "Downloading" and "total" in detail:
        layers[event["id"]] = (int(detail["current"]), int(detail["total"]))
    elif event.get("status") == "Download complete" and event.get("id") in layers:
        total = layers[event["id"]][1]
        layers[event["id"]] = (total, total)


def _not_pullable(name: str, reason: str, *, platform: str) -> EnvironmentProblem:
    if "no matching manifest" in reason:
        return EnvironmentProblem(
            f"the image {name} is not made for {platform} ({reason})", hint=f"{_OUR_IMAGE}, {OTHER_ENGINE}"
        )
    return EnvironmentProblem(
        f"the image {name} is not here and cannot be pulled: {reason}",
        hint=f"look at the name and the network, or {_OUR_IMAGE}, {OTHER_ENGINE}",
    )


def _explained(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error)
