"""The REST door: which paths are the model API, which the metrics, and which are nothing."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.embedded.exchange import Exchange, RestContext
from serving.embedded.http_messages import Request, Response, html_error
from serving.embedded.json_write import encoded
from serving.embedded.uris import parse_target

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from serving.embedded.manager import Manager
    from serving.embedded.metrics import Metrics
    from serving.embedded.run import Runner

_PREFIX = re.compile(rb"/v1/.*", re.IGNORECASE | re.DOTALL)
_JSON = ((b"Content-Type", b"application/json"),)
_CORS = (
    (b"Access-Control-Allow-Origin", b"*"),
    (b"Access-Control-Allow-Methods", b"POST, GET"),
    (b"Access-Control-Allow-Headers", b"Content-Type"),
)
_ORIGIN = re.compile(rb"https?://\S+")


@dataclass(frozen=True, kw_only=True, slots=True)
class RestOptions:
    """How the REST door behaves."""

    timeout_seconds: float = 30.0
    cors: bool = False
    prometheus_path: str | None = None
    max_body_bytes: int = 512 * 1024 * 1024


class RestDoor:
    """Answers requests; `handle` is called on the event loop and never blocks it for long."""

    def __init__(
        self,
        manager: Manager,
        runner: Runner,
        metrics: Metrics,
        options: RestOptions,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._metrics = metrics
        self._options = options
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="read-big-body")
        self._context = RestContext(
            manager=manager,
            runner=runner,
            metrics=metrics,
            loop=loop,
            readers=self._readers,
            headers=_JSON + (_CORS if options.cors else ()),
            timeout_seconds=options.timeout_seconds,
            max_body_bytes=options.max_body_bytes,
        )

    def close(self) -> None:
        self._readers.shutdown(cancel_futures=True)

    def handle(self, request: Request, answer: Callable[[Response], None]) -> None:
        """Answer one request, now or later, exactly once."""
        target = parse_target(request.target)
        if target is None:
            answer(html_error(400))
        elif self._options.prometheus_path is not None and target.path == self._options.prometheus_path.encode():
            answer(self._metrics_page(target.path_and_query))
        elif _PREFIX.fullmatch(target.path_and_query) is None:
            answer(html_error(404))
        elif request.method == "OPTIONS":
            valid = _ORIGIN.fullmatch(request.headers.get(b"origin", b"")) is not None
            answer(Response(status=200 if valid else 400, headers=_CORS if self._options.cors else ()))
        else:
            Exchange(self._context, request, target.path_and_query, answer).begin()

    def _metrics_page(self, path_and_query: bytes) -> Response:
        text = self._metrics.page()
        path = self._options.prometheus_path or ""
        status = 200
        if path_and_query != path.encode():
            given = path_and_query.decode("utf-8", "surrogateescape")
            text, status = f"Unexpected path: {given}. Should be {path}", 400
        return Response(status=status, body=encoded(text), headers=((b"Content-Type", b"text/plain"),))
