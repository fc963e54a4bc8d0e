"""`python -m serving.engines.tether PARENT -- COMMAND...`: become COMMAND, but die when the process PARENT dies.

A `with` block cannot stop its server when its own process is killed with SIGKILL. Linux can: the kernel sends a signal
that was asked for beforehand, and keeps the wish across `exec`. Asking needs code between `fork` and `exec`, which is
not safe in a parent with threads, so this small program asks. Elsewhere than on Linux it only starts the command.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, separator, *command = arguments
    if separator != "--" or not command:
        raise SystemExit("usage: python -m serving.engines.tether PARENT -- COMMAND...")
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have died before the wish was known.
        if os.getppid() != int(parent):
            raise SystemExit(f"the process {parent} that wanted this server is gone")
    os.execvp(command[0], command)  # noqa: S606 - no shell is what is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
