"""Asking a few samples again: in the same batches, among others, and by several clients at once where there can be.

An answer that is right once may be wrong later (a first call that warms up, a buffer that is reused, a cache that
fills), in other company (a layer left in training mode), or under load. All calls here come after the first pass over
all samples, so that other samples lay in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from pipeline.core.outcome import Repeat
from pipeline.core.signature import Tensors, sample_count
from pipeline.core.target import ManyClients, Runner

CLIENTS = 4
_ROUNDS = 3
_BATCHES = 4
_SAMPLES = 16
_CALLS_A_CLIENT = 6


def ask_again(runner: Runner, samples: Tensors, *, batch_sizes: Sequence[int]) -> tuple[Repeat, ...]:
    """What the runner answers when asked again, from the smallest batch size on.

    The smallest is asked three times, in about 12 calls, each other one in two calls: a call may take long where all of
    a graphics card is emulated. Raises TargetFailed as the runner does.
    """
    count = sample_count(samples)
    if count == 0:
        return ()
    repeats: list[Repeat] = []
    for position, size in enumerate(sorted(set(batch_sizes))):
        mixed = _among_others(count, size)
        again = _same_batches(count, size, rounds=_ROUNDS if position == 0 else 1)
        answered = runner.run(_rows_of(samples, np.concatenate([mixed, again])), batch_size=size).outputs
        for_mixed = np.arange(mixed.size, dtype=np.int64)
        for_again = np.arange(mixed.size, mixed.size + again.size, dtype=np.int64)
        if mixed.size:
            repeats.append(Repeat(kind="mixed", batch_size=size, rows=mixed, outputs=_rows_of(answered, for_mixed)))
        repeats.append(Repeat(kind="again", batch_size=size, rows=again, outputs=_rows_of(answered, for_again)))
    if isinstance(runner, ManyClients):
        repeats += _together(runner, samples, sorted(set(batch_sizes))[:2])
    return tuple(repeats)


def _same_batches(count: int, size: int, *, rounds: int) -> NDArray[np.int64]:
    """The first few batches as they were, in another order each round: 3, 2, 1, 0, then 0, 3, 2, 1, and so on."""
    if size >= count:
        return np.arange(count, dtype=np.int64)
    batches = min(_BATCHES if rounds > 1 else 1, count // size, max(1, _SAMPLES // size))
    backwards = np.arange(batches)[::-1]
    order = np.concatenate([np.roll(backwards, turn) for turn in range(rounds)])
    return np.asarray((order[:, np.newaxis] * size + np.arange(size)).ravel(), dtype=np.int64)


def _among_others(count: int, size: int) -> NDArray[np.int64]:
    """One batch of half the first one's samples, in other places, and of the last samples; none where it cannot be."""
    if size == 1 or size >= count:
        return np.zeros(0, dtype=np.int64)
    own = np.arange((size + 1) // 2)[::-1]
    others = np.arange(count - size // 2, count)
    return np.asarray(np.concatenate([others, own]), dtype=np.int64)


def _together(runner: ManyClients, samples: Tensors, sizes: Sequence[int]) -> list[Repeat]:
    """Several clients, each beginning at another sample, so that different questions are under way at once."""
    count = sample_count(samples)
    whole = [size for size in sizes if size <= count]

    def ask(client: int) -> list[Repeat]:
        found = []
        with runner.another_client() as own:
            for size in whole:
                # Whole batches of the first pass, each client from its own on.
                batches = min(count // size, CLIENTS)
                order = (client + np.arange(min(_CALLS_A_CLIENT, max(2, _SAMPLES // size)))) % batches
                rows = np.asarray((order[:, np.newaxis] * size + np.arange(size)).ravel(), dtype=np.int64)
                outputs = own.run(_rows_of(samples, rows), batch_size=size).outputs
                found.append(Repeat(kind="together", batch_size=size, rows=rows, outputs=outputs))
        return found

    with ThreadPoolExecutor(CLIENTS, thread_name_prefix="client") as clients:
        return [repeat for one in clients.map(ask, range(CLIENTS)) for repeat in one]


def _rows_of(tensors: Tensors, rows: NDArray[np.int64]) -> Tensors:
    return {name: array[rows] for name, array in tensors.items()}
