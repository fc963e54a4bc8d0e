"""A proxy in front of a real model server, which passes requests on and spoils what comes back."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pipeline.core.target import Session
from serving.engines.contract import Addresses, RunningServer
from serving.runtime import ServerSession

_KEPT_WAITING_SECONDS = 0.01

Spoil = Callable[[Any], Any]
"""From the rows of one answer to other rows."""


@contextmanager
def proxied(session: Session, spoil: Spoil) -> Iterator[Session]:
    """The session with a proxy before its REST door."""
    assert isinstance(session, ServerSession)
    with _proxy(lambda: _addresses(session.server).rest, spoil) as address:
        yield replace(session, server=_Fronted(session.server, lambda: address))


@contextmanager
def spoiled(upstream: str, spoil: Spoil, *, on_request: Callable[[bytes], bytes] = lambda body: body) -> Iterator[str]:
    """The address of a proxy before the REST door at `upstream`, as `host:port`."""
    with _proxy(lambda: upstream, spoil, on_request=on_request) as address:
        yield address


@contextmanager
def sent_elsewhere(session: Session, elsewhere: Callable[[], str]) -> Iterator[Session]:
    """The session with a router before its REST door that asks another server, whatever version is named."""
    assert isinstance(session, ServerSession)
    with _proxy(elsewhere, lambda rows: rows, any_version=True) as address:
        yield replace(session, server=_Fronted(session.server, lambda: address))


@contextmanager
def sharing_a_buffer(session: Session) -> Iterator[Session]:
    """The session with a proxy that keeps the request of whoever asked last, for all who ask meanwhile."""
    assert isinstance(session, ServerSession)
    # One for each number of rows, so that nobody gets an answer of a wrong shape.
    buffers: dict[int, bytes] = {}

    def shared(body: bytes) -> bytes:
        rows = len(json.loads(body)["instances"])
        buffers[rows] = body
        # As long as a thread may be kept waiting.
        time.sleep(_KEPT_WAITING_SECONDS)
        return buffers[rows]

    with _proxy(lambda: _addresses(session.server).rest, lambda rows: rows, on_request=shared) as address:
        yield replace(session, server=_Fronted(session.server, lambda: address))


def remembering(kept: list[Any]) -> Spoil:
    """A cache that knows one answer, and gives it to everybody."""

    def spoil(rows: Any) -> Any:
        kept.append(rows[0])
        return [kept[0]] * len(rows)

    return spoil


def _addresses(server: RunningServer) -> Addresses:
    addresses = server.addresses()
    if addresses is None:
        raise RuntimeError("the server has not opened its ports")
    return addresses


@dataclass(frozen=True)
class _Fronted:
    """A running server whose REST address is the proxy's."""

    server: RunningServer
    rest: Callable[[], str]

    def addresses(self) -> Addresses | None:
        own = self.server.addresses()
        return None if own is None else replace(own, rest=self.rest())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.server, name)


@contextmanager
def _proxy(
    upstream: Callable[[], str],
    spoil: Spoil,
    *,
    any_version: bool = False,
    on_request: Callable[[bytes], bytes] = lambda body: body,
) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on("GET", None)

        def do_POST(self) -> None:
            self._pass_on("POST", on_request(self.rfile.read(int(self.headers["Content-Length"]))))

        def _pass_on(self, method: str, body: bytes | None) -> None:
            host, port = upstream().rsplit(":", 1)
            parts = self.path.split("/versions/")
            path = parts[0] + ":predict" if any_version and len(parts) == 2 else self.path
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = json.loads(answer.read())
            connection.close()
            if "predictions" in content:
                content["predictions"] = spoil(content["predictions"])
            sent = json.dumps(content).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
