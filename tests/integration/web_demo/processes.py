"""The processes below one of ours, so that a test can kill one and see that none is left."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Process:
    """One line of `ps`."""

    pid: int
    parent: int
    state: str
    command: str


def below(pid: int) -> list[Process]:
    """Children, their children and so on, without those that have ended and only wait to be reaped."""
    lines = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    everything = [_parsed(line) for line in lines]
    found: list[Process] = []
    parents = {pid}
    while parents:
        children = [process for process in everything if process.parent in parents]
        found += children
        parents = {process.pid for process in children}
    return [process for process in found if not process.state.startswith("Z") and "ps -ww" not in process.command]


def with_argument(text: str) -> list[Process]:
    """Every process on the machine whose command line holds the text, such as the path of a browser's profile."""
    return [process for process in below(0) if text in process.command]


def gone(text: str, *, within_seconds: float) -> bool:
    """True once no process has the text in its command line."""
    deadline = time.monotonic() + within_seconds
    while with_argument(text):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _parsed(line: str) -> Process:
    pid, parent, state, command = line.split(None, 3)
    return Process(pid=int(pid), parent=int(parent), state=state, command=command)
