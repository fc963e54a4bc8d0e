"""HTTP/1.x connections on asyncio: one request at a time is answered, the next waits its turn.

TensorFlow Serving's REST door is libevent's evhttp, so its habits are what clients see: which errors close the
connection, one request at a time, patience with idle clients.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import httptools

from serving.embedded.http_messages import METHODS, Request, Response, html_error

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_HEADER_BYTES = 64 * 1024
IDLE_SECONDS = 50.0
"""libevent's own patience with a connection on which nothing moves."""

_METHODS = frozenset(method.encode() for method in METHODS)


class _Refused(Exception):  # carries a status, not an error of ours
    """The request is answered with one of libevent's own errors."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(kw_only=True)
class Connections:
    """The open connections, so that idle ones can be ended and all of them at the end."""

    loop: asyncio.AbstractEventLoop
    handle: Callable[[Request, Callable[[Response], None]], None]
    max_body_bytes: int
    closing: bool = False
    open: set[Connection] = field(default_factory=set)
    _date: tuple[int, bytes] = (0, b"")

    def date(self) -> bytes:
        """The Date header's value, made once a second."""
        now = int(time.time())
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return self._date[1]

    def close_idle(self) -> None:
        """End connections on which nothing has moved for too long."""
        now = self.loop.time()
        for connection in list(self.open):
            if not connection.busy and now - connection.last_moved > IDLE_SECONDS:
                connection.transport.abort()

    async def drain(self, seconds: float) -> None:
        """Let requests that are being answered finish, for so long at most, then close everything."""
        self.closing = True
        deadline = self.loop.time() + seconds
        for connection in list(self.open):
            if not connection.busy:
                connection.transport.close()
        # Once in a server's life; an event would cost every request.
        while any(connection.busy for connection in self.open) and self.loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for connection in list(self.open):
            connection.transport.close()
        # One turn for what is written to go out, then nothing is waited for.
        await asyncio.sleep(0.01)
        for connection in list(self.open):
            connection.transport.abort()


class Connection(asyncio.Protocol):
    """One client."""

    transport: Any

    def __init__(self, owner: Connections) -> None:
        self._owner = owner
        self._parser: Any = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._unread = b""
        self._ended = False
        self._refused: int | None = None
        self._request: Request | None = None
        self.last_moved = owner.loop.time()
        self._start_message()

    @property
    def busy(self) -> bool:
        return self._request is not None

    def _start_message(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._awaits_continue = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._owner.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._ended = True
        self._waiting.clear()
        self._owner.open.discard(self)

    def data_received(self, data: bytes) -> None:
        self.last_moved = self._owner.loop.time()
        if self._refused is not None:
            return
        if self.busy:
            # A pipelining client: keep what came and read no more until the answer is out.
            self._unread += data
            self.transport.pause_reading()
            return
        self._feed(data)

    def eof_received(self) -> bool:
        """A client may close its side and still wait for the answer."""
        self._ended = True
        return self.busy

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_header(len(name) + len(value))
        self._headers.setdefault(name.lower(), value)

    def on_headers_complete(self) -> None:
        if not self._parser.get_http_version().startswith("1."):
            raise _Refused(400)
        if self._parser.get_method() not in _METHODS:
            raise _Refused(501)
        length = self._headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._owner.max_body_bytes:
            raise _Refused(413)
        self._awaits_continue = self._headers.get(b"expect", b"").lower() == b"100-continue"

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._owner.max_body_bytes:
            raise _Refused(413)
        self._body.append(body)

    def on_message_complete(self) -> None:
        request = Request(
            method=self._parser.get_method().decode("ascii"),
            target=self._target,
            version=self._parser.get_http_version(),
            headers=self._headers,
            body=b"".join(self._body),
            keep_alive=self._parser.should_keep_alive(),
        )
        self._start_message()
        if self.busy:
            self._waiting.append(request)
        else:
            self._handle(request)

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            raise _Refused(400)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserInvalidMethodError:
            self._refuse(501)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, _Refused) as error:
            # httptools wraps what its callbacks raise.
            cause = error if isinstance(error, _Refused) else error.__context__
            self._refuse(cause.status if isinstance(cause, _Refused) else 400)
        else:
            if self._awaits_continue and not self.busy:
                self._awaits_continue = False
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _refuse(self, status: int) -> None:
        """Answer with an error page once what came before it is answered, and hear no more."""
        self._refused = status
        if not self.busy:
            self._send_refusal(status)

    def _send_refusal(self, status: int) -> None:
        nobody = Request(method="GET", target=b"", version="1.1", headers={}, body=b"", keep_alive=False)
        self.transport.write(html_error(status).encoded(nobody, self._owner.date()))
        self.transport.close()

    def _handle(self, request: Request) -> None:
        self._request = request
        self._owner.handle(request, self._answer)

    def _answer(self, response: Response) -> None:
        request, self._request = self._request, None
        if request is None or self.transport.is_closing():
            return
        self.transport.write(response.encoded(request, self._owner.date()))
        self.last_moved = self._owner.loop.time()
        if response.closes or not request.keep_alive or self._owner.closing:
            self.transport.close()
        elif self._waiting:
            # Later, so that a long pipeline does not nest ever deeper.
            self._request = self._waiting.popleft()
            self._owner.loop.call_soon(self._owner.handle, self._request, self._answer)
        elif self._refused is not None:
            self._send_refusal(self._refused)
        elif self._unread:
            data, self._unread = self._unread, b""
            self.transport.resume_reading()
            self._owner.loop.call_soon(self._feed, data)
        elif self._ended:
            self.transport.close()
