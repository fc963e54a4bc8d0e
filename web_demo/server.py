"""A small HTTP server on the loopback: a list of sites, asked in turn."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from pipeline.core.errors import EnvironmentProblem

# The parity page needs isolation for a fine clock: without it performance.now() has steps of 100 µs.
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LARGEST_BODY = 2**31
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Request:
    """`path` is decoded and starts with a slash; `body` is empty for GET."""

    method: str
    path: str
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Response:
    status: HTTPStatus = HTTPStatus.OK
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Site: TypeAlias = Callable[[Request], Response | None]
"""Answers a request, or gives None when it is not for this site. Called from many threads."""


@contextmanager
def serving(sites: Sequence[Site], *, port: int = 0, host: str = _LOOPBACK) -> Iterator[str]:
    """Yield the server's address, `http://127.0.0.1:<port>/`; port 0 takes a free one. Closed afterwards, always.

    Raises EnvironmentProblem when the port is taken.
    """

    class Handler(_Handler):
        answering = tuple(sites)

    try:
        server = _Server((host, port), Handler)
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot listen on {host}, port {port}: {error.strerror}", hint="choose another port, or 0 for a free one"
        ) from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="web_demo server")
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    # A page that is gone may leave a request open, which must not hold up the end of the program.
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        # Last: it closes the server again when the port is taken.
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        # Browsers keep connections open, and their threads would go on answering after the server's end.
        with self._connections_lock:
            for connection in self._connections:
                with suppress(OSError):  # closed by the other side already
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that hangs up in the middle of an answer is no fault of ours.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in two writes, which Nagle's algorithm would hold apart by 40 ms.
    disable_nagle_algorithm = True
    answering: tuple[Site, ...] = ()

    def do_GET(self) -> None:
        self._respond(b"")

    def do_HEAD(self) -> None:
        self._respond(b"")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        if length > _LARGEST_BODY:
            self.close_connection = True
            self._send(Response(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
            return
        self._respond(self.rfile.read(length))

    def _respond(self, body: bytes) -> None:
        method = "GET" if self.command == "HEAD" else self.command
        request = Request(method=method, path=unquote(urlsplit(self.path).path), body=body)
        for site in self.answering:
            response = site(request)
            if response is not None:
                self._send(response)
                return
        self._send(Response(status=HTTPStatus.NOT_FOUND, body=b"not found\n"))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in {**_HEADERS, **response.headers}.items():
            self.send_header(name, value)
        if response.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def log_message(self, *_: object) -> None:
        """Keep silent: the library never prints."""
