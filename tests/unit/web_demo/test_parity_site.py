"""The conversation over HTTP, as a page sees it."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from pathlib import Path

import pytest

from pipeline.core.errors import TargetFailed
from web_demo.parity_channel import ParityChannel
from web_demo.parity_site import ParitySite
from web_demo.server import Request, Response


class Page:
    """Asks a site as the page with the site's token does."""

    def __init__(self) -> None:
        self.channel = ParityChannel()
        self.site = ParitySite(self.channel)
        self.token = self.site.page.split("token=")[1]

    def __call__(self, method: str, path: str, body: bytes = b"") -> Response | None:
        return self.site(Request(method=method, path=f"/parity/{self.token}/{path}", body=body))


def status(response: Response | None) -> HTTPStatus:
    assert response is not None
    return response.status


def test_a_run_goes_over_the_four_addresses() -> None:
    """The TypeScript side relies on these addresses and statuses."""
    page = Page()

    def obey() -> None:
        instruction = page("GET", "next")
        assert instruction is not None
        assert json.loads(instruction.body) == {"id": 1, "kind": "run", "batchSize": 2}
        inputs = page("GET", "inputs/1")
        assert inputs is not None
        assert inputs.body == b"in"
        assert status(page("POST", "progress/1")) == HTTPStatus.NO_CONTENT
        assert status(page("POST", "answers/1", b"out")) == HTTPStatus.NO_CONTENT
        assert status(page("POST", "answers/1", b"out")) == HTTPStatus.GONE

    thread = threading.Thread(target=obey)
    thread.start()
    answer = page.channel.ask({"kind": "run", "batchSize": 2}, inputs=b"in", within_seconds=5)
    thread.join()
    assert answer == b"out"


def test_a_page_that_breaks_ends_the_conversation() -> None:
    """A lost graphics context answers nothing any more."""
    page = Page()
    page("POST", "broken", b'{"problem": "context lost"}')
    with pytest.raises(TargetFailed, match="the page failed: context lost"):
        page.channel.ask({"kind": "unload"}, within_seconds=5)


def test_nothing_is_answered_without_the_token() -> None:
    """Any other page open in a browser on this machine could ask the loopback for the samples."""
    page = Page()
    for path in ("/parity/next", "/parity/wrong/next", f"/parity/{page.token[:-1]}/next", "/next"):
        assert page.site(Request(method="GET", path=path, body=b"")) is None


def test_only_the_models_that_were_added_are_served(tmp_path: Path) -> None:
    """The address must not lead anywhere else on the disk."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.json").write_text(name)
    (tmp_path / "secret").write_text("secret")
    page = Page()
    addresses = [page.site.add_model(tmp_path / name) for name in ("one", "two")]
    for address, name in zip(addresses, ("one", "two"), strict=True):
        response = page.site(Request(method="GET", path=f"/{address}", body=b""))
        assert response is not None
        assert response.body == name.encode()
    assert page("GET", "models/2/model.json") is None
    assert page("GET", "models/0/../../secret") is None
    assert page("GET", "models/0/nothing.bin") is None


@pytest.mark.parametrize("path", ["inputs/7", "answers/7", "unknown", "inputs/x", "inputs/1/2", ""])
def test_other_addresses_are_not_ours(path: str) -> None:
    """They fall through to the static pages, and from there to 404."""
    response = Page()("GET", path)
    assert response is None or response.status == HTTPStatus.GONE
