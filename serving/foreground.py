"""A server that is kept in the foreground for people: its addresses, a line to try, and how much it was asked."""

from __future__ import annotations

import http.client
import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.core.artifact import Artifact
from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Tensors
from pipeline.core.target import RuntimeInfo
from serving.engines.contract import METRICS_PATH, Addresses, RunningServer
from serving.runtime import Server

_INLINE_BYTES = 400
_METRICS_SECONDS = 2.0
_REQUESTS = ":tensorflow:serving:request_count"


@dataclass(frozen=True, kw_only=True, eq=False)
class Served:
    """A model that answers. `try_it` is a line for a shell."""

    info: RuntimeInfo
    addresses: Addresses
    model: str
    try_it: str
    server: RunningServer

    def failure(self) -> TargetFailed | None:
        """Why the server ended, or None while it runs. To be asked about once a second."""
        from serving.diagnosis import died

        ended = self.server.ended()
        return None if ended is None else died(self.server, ended, doing="while it served")

    def request_counts(self) -> Mapping[str, int] | None:
        """Requests by status (`OK`, `INVALID_ARGUMENT` ...) over both doors, or None when the server does not tell."""
        from prometheus_client.parser import text_string_to_metric_families

        connection = http.client.HTTPConnection(self.addresses.rest, timeout=_METRICS_SECONDS)
        try:
            connection.request("GET", METRICS_PATH)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            # Whether the server ended is `failure`'s to say.
            return None
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            return None
        counts: dict[str, int] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name.startswith(_REQUESTS) and sample.labels.get("model_name") == self.model:
                    status = sample.labels.get("status", "")
                    counts[status] = counts.get(status, 0) + int(sample.value)
        return counts


@contextmanager
def served(settings: Server, artifact: Artifact, *, scratch: Path, example: Tensors) -> Iterator[Served]:
    """Serve the artifact until the block ends; `example` is what the line to try asks with, one or more samples.

    Raises EnvironmentProblem when no server can be started, TargetFailed when it does not load the artifact.
    """
    from serving.rest import request_body

    with replace(settings, monitored=True).boot(scratch) as session, session.load(artifact, "rest") as runner:
        addresses = session.server.addresses()
        if addresses is None:
            raise TargetFailed(
                f"{session.server.label} does not say where it answers", hint="run again with `--engine embedded`"
            )
        one = {name: array[:1] for name, array in example.items()}
        body = request_body(one, artifact.signature)
        yield Served(
            info=runner.info,
            addresses=addresses,
            model=settings.model_name,
            try_it=_curl(body, addresses, settings.model_name, scratch),
            server=session.server,
        )


def _curl(body: bytes, addresses: Addresses, model: str, scratch: Path) -> str:
    url = f"http://{addresses.rest}/v1/models/{model}:predict"
    if len(body) <= _INLINE_BYTES:
        return f"curl -d {shlex.quote(json.dumps(json.loads(body)))} {url}"
    # An image would fill the screen, so the request goes to a file that lives as long as the server.
    request = scratch / "request.json"
    request.write_bytes(body)
    return f"curl -d @{shlex.quote(str(request))} {url}"
