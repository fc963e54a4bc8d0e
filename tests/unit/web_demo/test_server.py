"""The small HTTP server and its folders, over real sockets."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import urllib.parse
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from pipeline.core.errors import EnvironmentProblem
from web_demo.server import Request, Response, serving
from web_demo.static import folder_site

ANSWERS_WITHIN_SECONDS = 5


def echo(request: Request) -> Response | None:
    return Response(body=request.body) if request.path == "/echo" else None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "sub").mkdir(parents=True)
    (root / "index.html").write_text("<h1>top</h1>")
    (root / "sub/index.html").write_text("<h1>sub</h1>")
    (root / "app.wasm").write_bytes(b"\0asm")
    (root / "weights.bin").write_bytes(bytes(range(256)))
    (tmp_path / "secret.txt").write_text("secret")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    return root


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("", "text/html; charset=utf-8"),
        ("sub/", "text/html; charset=utf-8"),
        ("app.wasm", "application/wasm"),
        ("weights.bin", "application/octet-stream"),
    ],
)
def test_files_have_the_types_that_browsers_insist_on(folder: Path, path: str, content_type: str) -> None:
    """A wrong type keeps modules from running and WebAssembly from compiling while it loads."""
    with serving([folder_site("/", folder)]) as address:
        response = requests.get(address + path, timeout=ANSWERS_WITHIN_SECONDS)
    assert (response.status_code, response.headers["Content-Type"]) == (HTTPStatus.OK, content_type)


def test_every_answer_isolates_the_page(folder: Path) -> None:
    """Without isolation the browser coarsens the clock that times the calls."""
    with serving([folder_site("/", folder)]) as address:
        headers = requests.get(address, timeout=ANSWERS_WITHIN_SECONDS).headers
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "//etc/hostname",
        "/%2fetc/hostname",
        "/..\\secret.txt",
        "/link.txt",
        "/a%00b",
        "/sub",
        "/nothing",
    ],
)
def test_nothing_outside_the_folder_is_served(folder: Path, path: str) -> None:
    """The demo may be opened on a shared machine, whose other files are nobody's business."""
    with serving([folder_site("/", folder)]) as address:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=ANSWERS_WITHIN_SECONDS)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        connection.close()
    assert response.status == HTTPStatus.NOT_FOUND
    assert b"secret" not in body


def test_large_bodies_pass_whole() -> None:
    """Answers of image models are megabytes."""
    body = os.urandom(5_000_000)
    with serving([echo]) as address:
        response = requests.post(f"{address}echo", data=body, timeout=ANSWERS_WITHIN_SECONDS)
    assert response.content == body


def test_head_says_the_size_without_the_body(folder: Path) -> None:
    """Download tools ask this first."""
    with serving([folder_site("/", folder)]) as address:
        response = requests.head(f"{address}weights.bin", timeout=ANSWERS_WITHIN_SECONDS)
    assert (response.headers["Content-Length"], response.content) == ("256", b"")


def test_a_connection_that_is_kept_open_ends_with_the_server(folder: Path) -> None:
    """A browser that goes on talking with a closed server shows models that are no longer served."""
    with serving([folder_site("/", folder)]) as address:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=ANSWERS_WITHIN_SECONDS)
        connection.request("GET", "/")
        connection.getresponse().read()
        socket_kept = connection.sock
    assert socket_kept.recv(1) == b""
    connection.close()


def test_a_request_that_hangs_does_not_hold_up_the_end() -> None:
    """Ctrl-C while a page waits for its next instruction has to end the program."""
    asked, go_on = threading.Event(), threading.Event()

    def hang(_request: Request) -> Response | None:
        asked.set()
        go_on.wait()
        return None

    with (
        serving([hang]) as address,
        socket.create_connection((urllib.parse.urlsplit(address).hostname, _port(address))) as open_socket,
    ):
        open_socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert asked.wait(ANSWERS_WITHIN_SECONDS)
    go_on.set()


def test_a_port_that_is_taken_is_told() -> None:
    """A traceback would not say which port, nor that another one can be chosen."""
    with serving([]) as address:
        port = _port(address)
        with pytest.raises(EnvironmentProblem, match=f"port {port}") as failed, serving([], port=port):
            pass
    assert "another port" in failed.value.hint


def _port(address: str) -> int:
    port = urllib.parse.urlsplit(address).port
    assert port is not None
    return port
