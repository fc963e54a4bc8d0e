"""Requests and answers of the REST door, and the forms that libevent gives to its own errors."""

from __future__ import annotations

from dataclasses import dataclass

METHODS = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"})
"""What TensorFlow Serving lets through to its dispatcher; anything else is a 501."""

_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Request Entity Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Time-out",
}
_CLASSES = {2: "Success", 4: "Client Error", 5: "Server Error"}


def reason_of(status: int) -> str:
    """Libevent's phrase: by number where it knows it, else by class."""
    return _REASONS.get(status) or _CLASSES.get(status // 100, "Unknown Status Class")


@dataclass(kw_only=True, slots=True)
class Request:
    """One request, its body whole, and what it says about its connection."""

    method: str
    target: bytes
    version: str
    headers: dict[bytes, bytes]
    """By lower-case name; of several with one name the first."""
    body: bytes
    keep_alive: bool

    def connection_says(self, word: bytes) -> bool:
        return word in self.headers.get(b"connection", b"").lower()


@dataclass(kw_only=True, slots=True)
class Response:
    """An answer; `headers` come before those that the connection adds."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def closes(self) -> bool:
        return (b"Connection", b"close") in self.headers

    def encoded(self, request: Request, date: bytes) -> bytes:
        """The bytes to send, with the headers that libevent adds, in its order."""
        modern = request.version != "1.0"
        asked_close = request.connection_says(b"close")
        kept_alive = request.connection_says(b"keep-alive")
        has_body = request.method != "HEAD"
        lines = [f"HTTP/{request.version} {self.status} {reason_of(self.status)}".encode()]
        typed = False
        for name, value in self.headers:
            if not (asked_close and name == b"Connection"):
                typed = typed or name == b"Content-Type"
                lines.append(name + b": " + value)
        if modern:
            lines.append(b"Date: " + date)
        elif kept_alive:
            lines.append(b"Connection: keep-alive")
        if has_body and (modern or kept_alive):
            lines.append(b"Content-Length: " + str(len(self.body)).encode())
        if has_body and not typed:
            lines.append(b"Content-Type: text/html; charset=ISO-8859-1")
        if asked_close:
            lines.append(b"Connection: close")
        return b"\r\n".join((*lines, b"", self.body if has_body else b""))


def html_error(status: int) -> Response:
    """Libevent's own error page, which also ends the connection."""
    reason = reason_of(status)
    page = (
        f"<HTML><HEAD>\n<TITLE>{status} {reason}</TITLE>\n</HEAD><BODY>\n<H1>{reason}</H1>\n</BODY></HTML>\n".encode()
    )
    return Response(status=status, body=page, headers=((b"Content-Type", b"text/html"), (b"Connection", b"close")))
