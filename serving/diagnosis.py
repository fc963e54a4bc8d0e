"""Why a model server ended or does not get ready, in words that say what to do."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass

from pipeline.core.errors import TargetFailed
from serving.engines.contract import Ended, RunningServer

_TICK_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class _Cause:
    """A line of the log that tells what is wrong, and the mend."""

    marks: tuple[str, ...]
    mend: str


# The first that fits is taken, so the more special stand first.
_LOG_CAUSES = (
    _Cause(
        marks=("exec format error", "Exec format error"),
        mend="the image is for another kind of processor; name one for this machine, or use `--engine embedded`",
    ),
    _Cause(
        marks=("Address already in use", "address already in use", "Failed to bind", "already allocated"),
        mend="another program holds the port; stop it, or run again to get other ports",
    ),
    _Cause(
        marks=("No versions of servable",),
        mend="the server finds no version folder in its base path: the daemon may run on another machine, or in a "
        "virtual machine that does not see this folder",
    ),
    _Cause(
        marks=("Permission denied", "permission denied"),
        mend="the server may not read the model's folder; look at its owner and mode",
    ),
    _Cause(
        marks=("Op type not registered", "NodeDef mentions attr"),
        mend="the model was written by a newer TensorFlow than the server's; use a server of the same version",
    ),
)

_SIGNAL_MENDS = {
    signal.SIGILL: "SIGILL: the server's build uses instructions that this processor lacks, mostly AVX; use "
    "`--engine embedded`, or an image built for this processor",
    signal.SIGKILL: "killed, mostly for memory: raise the memory limit under [serve] in tripoint.toml, or free some",
    signal.SIGABRT: "a check inside TensorFlow failed; the log's last lines name it",
    signal.SIGSEGV: "the server crashed; run again with `--engine embedded` to tell a fault of the model from one of "
    "the server",
    signal.SIGTERM: "somebody stopped it; run again",
}


def likely_mend(ended: Ended | None, log: str) -> str:
    """What to do about a server that ended like this, or that wrote this and does not get ready."""
    if ended is not None and ended.mend:
        return ended.mend
    if ended is not None and ended.out_of_memory:
        return _SIGNAL_MENDS[signal.SIGKILL]
    for cause in _LOG_CAUSES:
        if any(mark in log for mark in cause.marks):
            return cause.mend
    if ended is not None and ended.signal is not None:
        for known, mend in _SIGNAL_MENDS.items():
            if ended.signal == known:
                return mend
    return "the log's last lines say what the server did; `tripoint doctor` looks at the machine"


def died(server: RunningServer, ended: Ended, *, doing: str) -> TargetFailed:
    """The error for a server that ended while we were `doing` something, such as "while it got ready"."""
    log = server.log_tail()
    return TargetFailed(
        f"{server.label} ended {doing} ({ended.sentence}){quoted(log)}",
        hint=likely_mend(ended, log),
    )


def quoted(log: str) -> str:
    """The log's last lines, to be put at the end of a sentence."""
    return f"\nits last lines:\n{log}" if log else "; it wrote no log"


def lost(server: RunningServer, *, doing: str, reason: str, within_seconds: float = 1.5) -> TargetFailed:
    """The error for a call that failed in transport: the server's own death if it shows soon, else what was seen."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        ended = server.ended()
        if ended is not None:
            return died(server, ended, doing=doing)
        time.sleep(_TICK_SECONDS)
    log = server.log_tail()
    return TargetFailed(
        f"{server.label} still runs, but did not answer {doing}: {reason}{quoted(log)}", hint=likely_mend(None, log)
    )
