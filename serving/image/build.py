"""Builds the image of the embedded server, once for each state of its sources."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import EnvironmentProblem
from pipeline.core.progress import Observer, Progress, nobody
from serving.engines.docker_daemon import connected, find_daemon

if TYPE_CHECKING:
    from docker import DockerClient

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "tripoint/serving"
PULLED_BASE = "debian:bookworm-slim"
OWN_BASE = "tripoint/debian:bookworm-slim"
_STAGE = "image"
_BUILD_SECONDS = 900.0
_HOST_CERTIFICATES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/cert.pem"),
)


def ensure_image(*, certificates: Path | None = None, observer: Observer = nobody) -> str:
    """The tag of the image for the sources as they are, `tripoint/serving:<version>-<hash>`; built if it is not there.

    `tripoint/serving:<version>` is moved to it. `certificates` is a PEM file that pip trusts during the build; None
    means the one of this machine. Raises EnvironmentProblem when there is no daemon, no base or a step fails.
    """
    from docker.errors import ImageNotFound

    files = context_files()
    version = metadata.version("tripoint")
    tag = f"{REPOSITORY}:{version}-{_digest(files)[:12]}"
    with connected(find_daemon(), call_seconds=_BUILD_SECONDS) as client:
        try:
            image = client.images.get(tag)
        except ImageNotFound:
            bundle = certificates or next((path for path in _HOST_CERTIFICATES if path.exists()), None)
            context = _tar({**files, "ca-bundle.crt": (bundle.read_bytes() if bundle else b"", 0o644)})
            _build(
                client,
                context,
                base=ensure_base(client, observer=observer),
                tag=tag,
                version=version,
                observer=observer,
            )
            image = client.images.get(tag)
        image.tag(REPOSITORY, version)
    return tag


def context_files() -> Mapping[str, tuple[bytes, int]]:
    """What the image is made from, by name in the build context: content and mode. Certificates come on top."""
    image = ROOT / "serving/image"
    files = {
        "Dockerfile": (image / "Dockerfile", 0o644),
        "requirements.txt": (ROOT / "requirements/serving-image.txt", 0o644),
        "app/entrypoint.sh": (image / "entrypoint.sh", 0o755),
        "app/healthcheck.py": (image / "healthcheck.py", 0o644),
    }
    sources = [
        ROOT / "serving/__init__.py",
        *(ROOT / "serving/embedded").rglob("*.py"),
        ROOT / "pipeline/__init__.py",
        *(ROOT / "pipeline/core").glob("*.py"),
    ]
    for path in sources:
        files[f"app/{path.relative_to(ROOT).as_posix()}"] = (path, 0o644)
    return {name: (path.read_bytes(), mode) for name, (path, mode) in sorted(files.items())}


def _digest(files: Mapping[str, tuple[bytes, int]]) -> str:
    digest = hashlib.sha256()
    for name, (content, mode) in files.items():
        digest.update(f"{name}\0{mode:o}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _tar(files: Mapping[str, tuple[bytes, int]]) -> io.BytesIO:
    # No owner and no time in it: the daemon keeps a layer as long as the files that it copies are the same.
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def _build(client: DockerClient, context: io.BytesIO, *, base: str, tag: str, version: str, observer: Observer) -> None:
    from docker.errors import APIError

    labels = {
        "org.opencontainers.image.title": "Tripoint embedded server",
        "org.opencontainers.image.version": version,
    }
    said: list[str] = []
    try:
        events = client.api.build(
            fileobj=context,
            custom_context=True,
            tag=tag,
            buildargs={"BASE": base},
            labels=labels,
            rm=True,
            forcerm=True,
            decode=True,
        )
        for event in events:
            if "error" in event:
                last = "".join(said)[-2000:]
                raise EnvironmentProblem(
                    f"the image of the embedded server could not be built: {event['error'].strip()}\n{last}",
                    hint="behind a proxy that inspects TLS: python -m serving.image --certificates BUNDLE.pem",
                )
            text = event.get("stream", "")
            said.append(text)
            if text.startswith("Step "):
                observer(Progress(stage=_STAGE, message=text.strip()))
    except APIError as error:
        raise EnvironmentProblem(
            f"the Docker daemon refused to build the image: {error.explanation}", hint="docker info shows its state"
        ) from error


def ensure_base(client: DockerClient, *, observer: Observer = nobody) -> str:
    """The image that ours stands on: Debian's own, pulled if need be, else one made from Debian's packages."""
    from docker.errors import APIError, ImageNotFound

    for known in (PULLED_BASE, OWN_BASE):
        try:
            client.images.get(known)
        except ImageNotFound:
            continue
        return known
    observer(Progress(stage=_STAGE, message=f"pulling {PULLED_BASE}"))
    try:
        client.images.pull(PULLED_BASE)
    except APIError as error:
        _bootstrap(client, why=str(error.explanation), observer=observer)
        return OWN_BASE
    return PULLED_BASE


def _bootstrap(client: DockerClient, *, why: str, observer: Observer) -> None:
    observer(Progress(stage=_STAGE, message=f"{PULLED_BASE} cannot be pulled; making a base from Debian's packages"))
    with tempfile.TemporaryDirectory(prefix="tripoint-base-") as scratch:
        root = Path(scratch) / "root"
        try:
            made = subprocess.run(
                ["debootstrap", "--variant=minbase", "bookworm", str(root)],
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise _no_base(why, "and there is no debootstrap to make one from Debian's packages") from error
        if made.returncode != 0:
            raise _no_base(why, f"and debootstrap failed: {(made.stderr or made.stdout)[-500:].strip()}")
        for archive in (root / "var/cache/apt/archives").glob("*.deb"):
            archive.unlink()
        repository, _, tag = OWN_BASE.partition(":")
        packed = Path(scratch) / "root.tar"
        subprocess.run(["tar", "--numeric-owner", "-C", str(root), "-cf", str(packed), "."], check=True)
        client.api.import_image_from_file(str(packed), repository=repository, tag=tag)


def _no_base(why: str, other: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"{PULLED_BASE} cannot be pulled ({why}), {other}",
        hint="as root on Debian: apt-get install debootstrap; or load the image: docker load < debian.tar",
    )
