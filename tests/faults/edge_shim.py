"""A faulty layer around the real edge runner, as a vendor's library may be: it spoils what the runner answers.

`python -m tests.faults.edge_shim FAULT COMMAND...` starts the command and passes frames on.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.wire import Frame, encoded, read_frame

Spoil = Callable[[NDArray[Any], int], NDArray[Any]]


def _one_call_late(answers: NDArray[Any], batch_size: int) -> NDArray[Any]:
    return np.concatenate([answers[:batch_size], answers[:-batch_size]])


def _last_batch_stale(answers: NDArray[Any], batch_size: int) -> NDArray[Any]:
    rest = len(answers) % batch_size
    return answers if rest == 0 else np.concatenate([answers[:-rest], answers[:rest]])


def _first_of_each_batch(answers: NDArray[Any], batch_size: int) -> NDArray[Any]:
    return answers[np.arange(len(answers)) // batch_size * batch_size]


def _last_lane_dead(answers: NDArray[Any], batch_size: int) -> NDArray[Any]:
    """Four lanes work on a batch, and the last of them never writes."""
    dead = (np.arange(len(answers)) % batch_size % 4 == 3) & (batch_size >= 4)
    return np.where(dead.reshape(-1, *[1] * (answers.ndim - 1)), 0, answers).astype(answers.dtype)


FAULTS: Mapping[str, Spoil] = {
    "one-call-late": _one_call_late,
    "last-batch-stale": _last_batch_stale,
    "first-of-each-batch": _first_of_each_batch,
    "last-lane-dead": _last_lane_dead,
}


def main() -> None:
    """Relay until either side ends."""
    spoil, command = FAULTS[sys.argv[1]], sys.argv[2:]
    runner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if runner.stdin is None or runner.stdout is None:
        raise RuntimeError("the runner has no pipes")
    while (question := read_frame(sys.stdin.buffer.read)) is not None:
        runner.stdin.writelines(encoded(question))
        runner.stdin.flush()
        while True:
            answer = read_frame(runner.stdout.read)
            if answer is None:
                return
            if question.header["do"] == "run" and answer.arrays:
                size = int(question.header["batch_size"])
                answer = Frame(answer.header, {name: spoil(array, size) for name, array in answer.arrays.items()})
            sys.stdout.buffer.writelines(encoded(answer))
            sys.stdout.buffer.flush()
            # Signs of life come before the answer; they carry nothing.
            if not _sign_of_life(answer):
                break
    runner.stdin.close()
    runner.wait()


def _sign_of_life(frame: Frame) -> bool:
    return "running" in frame.header


if __name__ == "__main__":
    main()
