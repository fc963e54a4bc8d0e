"""When a model server is ready: its process lives, and it says itself that the very version is AVAILABLE."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Self

import grpc

from pipeline.core.errors import TargetFailed
from serving.diagnosis import died, likely_mend, quoted
from serving.engines.contract import Addresses, RunningServer
from serving.grpc_client import VersionState, channel_to, version_states

_TICK_SECONDS = 0.05
_CALL_SECONDS = 2.0


# A version in one of these states still holds memory, and may answer.
_STATES_OF_THE_LIVING = ("START", "LOADING", "AVAILABLE", "UNLOADING")


def wait_until_available(server: RunningServer, *, model: str, version: int, within_seconds: float) -> Addresses:
    """Return where the server answers, once the version is AVAILABLE there and the only one.

    Raises TargetFailed at once when the server ends or the version fails to load, else when the time is over.
    """
    deadline = time.monotonic() + within_seconds
    with _Door(server, model=model) as door:
        while True:
            ended = server.ended()
            if ended is not None:
                raise died(server, ended, doing=f"before version {version} of {model} was available")
            seconds = max(_TICK_SECONDS, min(_CALL_SECONDS, deadline - time.monotonic()))
            states, last = door.states(within_seconds=seconds)
            wanted = states.get(version)
            if wanted is not None and wanted.state == "END" and wanted.error:
                raise TargetFailed(
                    f"{server.label} could not load version {version} of {model}: {wanted.error}",
                    hint=likely_mend(None, wanted.error),
                )
            living = [number for number, state in states.items() if state.state in _STATES_OF_THE_LIVING]
            if (
                wanted is not None
                and wanted.state == "AVAILABLE"
                and living == [version]
                and door.addresses is not None
            ):
                return door.addresses
            if time.monotonic() >= deadline:
                log = server.log_tail()
                raise TargetFailed(
                    f"{server.label} runs, but version {version} of {model} was not available within "
                    f"{within_seconds:g} s; the last answer: {last}{quoted(log)}",
                    hint=likely_mend(None, log),
                )
            time.sleep(_TICK_SECONDS)


class _Door:
    """The way to a server's status, opened as soon as its address is known."""

    def __init__(self, server: RunningServer, *, model: str) -> None:
        self._server = server
        self._model = model
        self._channels = ExitStack()
        self._channel: grpc.Channel | None = None
        self.addresses: Addresses | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._channels.close()

    def states(self, *, within_seconds: float) -> tuple[Mapping[int, VersionState], str]:
        addresses = self._server.addresses()
        if addresses is None:
            return {}, "its ports are not open yet"
        if self._channel is None or addresses != self.addresses:
            self.addresses, self._channel = addresses, self._channels.enter_context(channel_to(addresses.grpc))
        return version_states(self._channel, model=self._model, within_seconds=within_seconds)
