"""Whose a container is, and the removal of those whose owner was killed before it could remove them."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path

from serving.engines.docker_daemon import connected, find_daemon

RUN_LABEL = "io.tripoint.run"
_OWNER_LABEL = "io.tripoint.owner"


def run_labels() -> dict[str, str]:
    """Labels for a container of this process: an id of its own, and who will remove it."""
    return {RUN_LABEL: uuid.uuid4().hex[:12], _OWNER_LABEL: _owner(os.getpid())}


def sweep(*, everybodys: bool = False) -> tuple[str, ...]:
    """Remove the containers that a killed process left behind, and return their names.

    Those of processes that still live stay, and so do those that another machine started on the same daemon, unless
    `everybodys`. Raises EnvironmentProblem when there is no daemon.
    """
    from docker.errors import NotFound

    removed = []
    with connected(find_daemon()) as client:
        for container in client.containers.list(all=True, filters={"label": RUN_LABEL}, ignore_removed=True):
            if everybodys or _is_orphan(container.labels):
                try:
                    container.remove(force=True, v=True)
                except NotFound:
                    # Its owner, or another sweep, was faster.
                    continue
                removed.append(str(container.name))
    return tuple(removed)


def _owner(pid: int) -> str:
    return f"{socket.gethostname()} {pid} {_started(pid)}"


def _is_orphan(labels: Mapping[str, str]) -> bool:
    host, _, rest = labels.get(_OWNER_LABEL, "").partition(" ")
    pid, _, started = rest.partition(" ")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    return not _is_alive(int(pid)) or _started(int(pid)) != started


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> str:
    """When the process started, in the kernel's ticks, so that a pid that was given out again is not taken for it."""
    status = Path(f"/proc/{pid}/stat")
    # Only Linux has it. The name in parentheses may hold blanks; the start time is the 20th field after it.
    return status.read_text().rpartition(")")[2].split()[19] if status.exists() else ""
