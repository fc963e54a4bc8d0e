"""The demo page with its models: served on the loopback, or written as a folder that any web host can serve."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.core.artifact import Artifact
from pipeline.core.errors import EnvironmentProblem, UsageError
from web_demo.server import Request, Response, Site, serving
from web_demo.static import folder_site

DIST = Path(__file__).resolve().parent / "dist"
_INDEX = "models/index.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class DemoModel:
    """A model as the page shows it, with one TF.js artifact a precision and an example of each class.

    `samples` is float [examples, height, width, 1] in 0..1, `sample_labels` the name of each one's class.
    """

    name: str
    title: str
    kind: str
    input: str
    output: str
    classes: tuple[str, ...]
    samples: NDArray[Any]
    sample_labels: tuple[str, ...]
    artifacts: tuple[Artifact, ...]


@contextmanager
def serve_demo(models: Sequence[DemoModel], *, port: int = 0, page_dist: Path = DIST) -> Iterator[str]:
    """Yield the demo's address; port 0 takes a free one. Raises EnvironmentProblem when the port is taken."""
    _check_built(page_dist)
    index = json.dumps(_index(models)).encode()

    def index_site(request: Request) -> Response | None:
        if request.method != "GET" or request.path != f"/{_INDEX}":
            return None
        return Response(body=index, content_type="application/json", headers={"Cache-Control": "no-cache"})

    sites: list[Site] = [index_site]
    for model in models:
        sites += [folder_site(f"/{_folder(artifact)}/", artifact.path) for artifact in model.artifacts]
    with serving([*sites, folder_site("/", page_dist)], port=port) as address:
        yield address


def write_static_site(models: Sequence[DemoModel], into: Path, *, page_dist: Path = DIST) -> None:
    """Write the page and the models to the folder, whole or not at all; an earlier site there is replaced.

    Raises UsageError when the folder holds something else.
    """
    _check_built(page_dist)
    if into.exists() and not _replaceable(into):
        raise UsageError(f"{into} holds something that is not a demo site", hint="name a new or an empty folder")
    aside = into.parent / f".{into.name}.{secrets.token_hex(4)}"
    try:
        # Not the marks that a set-up may leave in the build, whose names start with a dot.
        shutil.copytree(page_dist, aside / "new", ignore=shutil.ignore_patterns(".*"))
        for model in models:
            for artifact in model.artifacts:
                shutil.copytree(artifact.path, aside / "new" / _folder(artifact))
        index = aside / "new" / _INDEX
        index.parent.mkdir(exist_ok=True)
        index.write_text(json.dumps(_index(models)), encoding="utf-8")
        if into.exists():
            into.rename(aside / "old")
        (aside / "new").rename(into)
    finally:
        shutil.rmtree(aside)


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / _INDEX).is_file() or not any(folder.iterdir()))


def _check_built(page_dist: Path) -> None:
    if not (page_dist / "index.html").is_file():
        raise EnvironmentProblem(f"the web app is not built: {page_dist} has no index.html", hint="make setup")


def _folder(artifact: Artifact) -> str:
    """Where the page finds the artifact, relative to itself."""
    return f"models/{artifact.model}/{artifact.precision}"


def _index(models: Sequence[DemoModel]) -> dict[str, Any]:
    return {
        "models": [
            {
                "name": model.name,
                "title": model.title,
                "kind": model.kind,
                "input": model.input,
                "output": model.output,
                "classes": model.classes,
                "samples": [
                    {"label": label, "values": [round(float(value), 6) for value in sample.ravel()]}
                    for label, sample in zip(model.sample_labels, model.samples, strict=True)
                ],
                "precisions": [_precision(artifact) for artifact in model.artifacts],
            }
            for model in models
        ]
    }


def _precision(artifact: Artifact) -> dict[str, Any]:
    folder = _folder(artifact)
    files = sorted(path for path in artifact.path.rglob("*") if path.is_file())
    return {
        "precision": artifact.precision,
        "url": f"{folder}/model.json",
        "digest": artifact.digest,
        "sizeBytes": artifact.size_bytes,
        "files": [f"{folder}/{path.relative_to(artifact.path).as_posix()}" for path in files],
    }
