"""The parity channel over HTTP, guarded by a token in the address, and the model folders that the page loads."""

from __future__ import annotations

import json
import secrets
import threading
from http import HTTPStatus
from pathlib import Path

from web_demo.parity_channel import ParityChannel
from web_demo.server import Request, Response
from web_demo.static import folder_site

# Shorter than what proxies and browsers allow a request to stay open.
_LONG_POLL_SECONDS = 25.0


class ParitySite:
    """Answers below `/parity/<token>/`. The page takes instructions from it and brings back what became of them."""

    def __init__(self, channel: ParityChannel) -> None:
        self._channel = channel
        self._token = secrets.token_urlsafe(16)
        self._prefix = f"/parity/{self._token}/"
        self._models: list[Path] = []
        self._models_lock = threading.Lock()

    @property
    def page(self) -> str:
        """The page to open, relative to the server's address."""
        return f"parity.html?token={self._token}"

    def add_model(self, folder: Path) -> str:
        """The address of the folder's `model.json`, relative to the page. The folder must not change from then on."""
        with self._models_lock:
            self._models.append(folder)
            return f"{self._prefix.removeprefix('/')}models/{len(self._models) - 1}/model.json"

    def __call__(self, request: Request) -> Response | None:
        if not request.path.startswith(self._prefix):
            return None
        match request.method, request.path.removeprefix(self._prefix).split("/"):
            case "GET", ["next"]:
                return self._next()
            case "GET", ["models", number, *_] if number.isdecimal() and int(number) < len(self._models):
                return folder_site(f"{self._prefix}models/{number}/", self._models[int(number)])(request)
            case "POST", ["broken"]:
                self._channel.break_off(f"the page failed: {_problem(request)}")
                return _DONE
            case _, [kind, number] if number.isdecimal():
                return self._concerning(int(number), kind, request)
            case _:
                return None

    def _concerning(self, number: int, kind: str, request: Request) -> Response | None:
        """Answer what the page asks or says about the instruction of that number."""
        match request.method, kind:
            case "GET", "inputs":
                inputs = self._channel.inputs_of(number)
                return _GONE if inputs is None else Response(body=inputs, content_type="application/octet-stream")
            case "POST", "progress":
                awaited = self._channel.note_progress(number)
            case "POST", "answers":
                awaited = self._channel.answer(number, request.body)
            case "POST", "failures":
                awaited = self._channel.fail(number, _problem(request))
            case _:
                return None
        return _DONE if awaited else _GONE

    def _next(self) -> Response:
        instruction = self._channel.next_instruction(wait_seconds=_LONG_POLL_SECONDS)
        if instruction is None:
            return _DONE
        return Response(body=json.dumps(instruction).encode(), content_type="application/json")


_DONE = Response(status=HTTPStatus.NO_CONTENT)
_GONE = Response(status=HTTPStatus.GONE, body=b"nobody waits for this instruction any more\n")


def _problem(request: Request) -> str:
    return str(json.loads(request.body)["problem"])
