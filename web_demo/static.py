"""Files of a folder as a site of the server: right types, nothing from outside the folder."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path, PurePosixPath

from web_demo.server import Request, Response

# Not the system's table of types, which differs from machine to machine: a module script needs the right one to run.
_CONTENT_TYPES = {
    ".bin": "application/octet-stream",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_FALLBACK_TYPE = "application/octet-stream"


def folder_site(prefix: str, folder: Path) -> Callable[[Request], Response | None]:
    """The folder's files below `prefix`, which starts and ends with a slash; a folder's path means its index.html."""
    root = folder.resolve()

    def answer(request: Request) -> Response | None:
        if request.method != "GET" or not request.path.startswith(prefix):
            return None
        relative = request.path.removeprefix(prefix)
        if relative == "" or relative.endswith("/"):
            relative += "index.html"
        return _file_below(root, relative)

    return answer


def _file_below(root: Path, relative: str) -> Response | None:
    parts = PurePosixPath(relative).parts
    if relative.startswith("/") or "\\" in relative or "\0" in relative or ".." in parts:
        return None
    path = root.joinpath(*parts)
    # Resolved, so that a link cannot lead out of the folder either.
    if not path.is_file() or not path.resolve().is_relative_to(root):
        return None
    return Response(
        status=HTTPStatus.OK,
        body=path.read_bytes(),
        content_type=_CONTENT_TYPES.get(path.suffix, _FALLBACK_TYPE),
        headers={"Cache-Control": "no-cache"},
    )
