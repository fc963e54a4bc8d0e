"""Answers carry the headers that libevent sends, in its order."""

from __future__ import annotations

import pytest

from serving.embedded.http_messages import Request, Response, html_error, reason_of
from serving.embedded.uris import parse_target, unescaped

DATE = b"Mon, 23 Nov 2026 03:42:25 GMT"
JSON = ((b"Content-Type", b"application/json"),)


def request(method: str = "GET", version: str = "1.1", connection: bytes = b"") -> Request:
    headers = {b"connection": connection} if connection else {}
    return Request(method=method, target=b"/", version=version, headers=headers, body=b"", keep_alive=True)


def header_names(raw: bytes) -> list[bytes]:
    return [line.split(b":")[0] for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (request(), [b"Content-Type", b"Date", b"Content-Length"]),
        (request(connection=b"close"), [b"Content-Type", b"Date", b"Content-Length", b"Connection"]),
        (request(version="1.0"), [b"Content-Type"]),
        (request(version="1.0", connection=b"keep-alive"), [b"Content-Type", b"Connection", b"Content-Length"]),
        (request(method="HEAD"), [b"Content-Type", b"Date"]),
    ],
)
def test_headers_come_in_libevents_order(asked: Request, names: list[bytes]) -> None:
    """Proxies and old clients depend on what HTTP/1.0 and `Connection` get."""
    assert header_names(Response(status=200, body=b"{}", headers=JSON).encoded(asked, DATE)) == names


def test_an_answer_without_a_type_gets_libevents_default_at_the_end() -> None:
    """OPTIONS answers look like this."""
    raw = Response(status=400).encoded(request(), DATE)
    assert header_names(raw) == [b"Date", b"Content-Length", b"Content-Type"]


def test_error_pages_close_the_connection() -> None:
    """A client that kept it open would send its next request into the void."""
    page = html_error(404)
    assert page.closes
    assert b"<TITLE>404 Not Found</TITLE>" in page.body
    assert reason_of(429) == "Client Error"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/v1/models/m:predict", b"/v1/models/m:predict"),
        (b"//v1/models/m", b"/models/m"),
        (b"http://host:1/v1/x", b"/v1/x"),
        (b"/a%20b", b"/a%20b"),
        (b"/a b", None),
        (b"/a%zz", None),
        (b'/a"b', None),
        (b"/\xff", None),
    ],
)
def test_targets_are_cut_as_libevent_cuts_them(target: bytes, path: bytes | None) -> None:
    """What it cannot parse is a 400, whatever the path would have been."""
    found = parse_target(target)
    assert (found.path if found else None) == path


def test_queries_stay_part_of_the_name() -> None:
    """`?x=1` makes another model of it, a 404, as there."""
    found = parse_target(b"/v1/models/m?x=1#f")
    assert found is not None
    assert found.path_and_query == b"/v1/models/m?x=1#f"
    assert unescaped(b"half%5Fplus") == "half_plus"
