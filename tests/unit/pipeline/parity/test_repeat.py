"""Which samples are asked again, at which size and by whom: in other places, among others, and never more than said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from pipeline.core.outcome import Repeat
from pipeline.core.signature import Tensors
from pipeline.core.target import Answers, RuntimeInfo
from pipeline.parity.repeat import ask_again


@dataclass(kw_only=True)
class Echo:
    """Answers each sample with itself."""

    info: RuntimeInfo = field(default_factory=lambda: RuntimeInfo(runtime="echo", version="1"))

    def run(self, samples: Tensors, *, batch_size: int) -> Answers:
        return Answers(outputs={"y": samples["x"]}, call_seconds=np.full(-(-len(samples["x"]) // batch_size), 1e-3))


@dataclass(kw_only=True)
class EchoServer(Echo):
    @contextmanager
    def another_client(self) -> Iterator[Echo]:
        yield Echo()


def asked(count: int, *sizes: int, runner: Echo | None = None) -> tuple[Repeat, ...]:
    """The repeats of the samples 0, 1, 2, and so on; each must hold the answers to the rows that it names."""
    repeats = ask_again(runner or Echo(), {"x": np.arange(count)}, batch_sizes=sizes)
    for one in repeats:
        np.testing.assert_array_equal(one.outputs["y"], one.rows)
    return repeats


def rows(repeats: tuple[Repeat, ...], kind: str, size: int) -> list[list[int]]:
    return [one.rows.tolist() for one in repeats if (one.kind, one.batch_size) == (kind, size)]


def blocks(size: int, *order: int) -> list[int]:
    return [block * size + offset for block in order for offset in range(size)]


@pytest.mark.parametrize(
    ("count", "size", "order"),
    [
        (20, 1, (3, 2, 1, 0, 0, 3, 2, 1, 1, 0, 3, 2)),
        (3, 1, (2, 1, 0, 0, 2, 1, 1, 0, 2)),  # no more batches than there are
        (7, 2, (2, 1, 0, 0, 2, 1, 1, 0, 2)),  # whole ones only
        (40, 6, (1, 0, 0, 1, 1, 0)),  # 16 samples at most in a round
        (40, 8, (1, 0, 0, 1, 1, 0)),
        (40, 16, (0, 0, 0)),
        (40, 17, (0, 0, 0)),  # one batch at least
        (20, 20, (0,)),  # there is no other order of one batch
    ],
)
def test_the_first_batches_are_asked_three_times_in_another_order_each_time(
    count: int, size: int, order: tuple[int, ...]
) -> None:
    """Otherwise what one call leaves behind for the next would be the same in every round, and go unseen."""
    assert rows(asked(count, size), "again", size) == [blocks(size, *order)]


def test_all_is_asked_again_where_a_batch_is_larger_than_all() -> None:
    """Otherwise rows would be asked for that do not exist."""
    assert rows(asked(3, 8), "again", 8) == [[0, 1, 2]]


def test_the_larger_batch_sizes_are_asked_once() -> None:
    """Otherwise a target that is emulated would take hours."""
    repeats = asked(40, 8, 4, 1, 4)
    assert [(one.kind, one.batch_size) for one in repeats] == [
        ("again", 1), ("mixed", 4), ("again", 4), ("mixed", 8), ("again", 8),
    ]  # fmt: skip
    assert rows(repeats, "again", 4) == [[0, 1, 2, 3]]
    assert rows(repeats, "again", 8) == [list(range(8))]


@pytest.mark.parametrize(
    ("count", "size", "mixed"),
    [
        (20, 4, [[18, 19, 1, 0]]),
        (20, 5, [[18, 19, 2, 1, 0]]),  # the greater half are those of the first batch
        (3, 2, [[2, 0]]),
        (20, 1, []),  # alone there is no company to change
        (4, 4, []),  # nobody else is there
        (3, 4, []),
    ],
)
def test_half_a_batch_is_asked_in_other_places_among_the_last_samples(
    count: int, size: int, mixed: list[list[int]]
) -> None:
    """Otherwise an answer that depends on its place or its neighbours would be asked where it was right before."""
    assert rows(asked(count, size), "mixed", size) == mixed


@pytest.mark.parametrize(
    ("count", "size", "orders"),
    [
        (
            20,
            1,
            [(0, 1, 2, 3, 0, 1), (1, 2, 3, 0, 1, 2), (2, 3, 0, 1, 2, 3), (3, 0, 1, 2, 3, 0)],
        ),
        (40, 6, [(0, 1), (1, 2), (2, 3), (3, 0)]),
        (40, 8, [(0, 1), (1, 2), (2, 3), (3, 0)]),
        (14, 4, [(0, 1, 2, 0), (1, 2, 0, 1), (2, 0, 1, 2), (0, 1, 2, 0)]),  # three whole batches are there
        (20, 20, [(0, 0)] * 4),
        (19, 20, []),
    ],
)
def test_each_client_begins_at_another_batch(count: int, size: int, orders: list[tuple[int, ...]]) -> None:
    """Otherwise all clients would ask the same at once, and a server that mixes them up would be right."""
    repeats = asked(count, size, runner=EchoServer())
    assert rows(repeats, "together", size) == [blocks(size, *order) for order in orders]


def test_clients_ask_at_the_two_smallest_sizes_only() -> None:
    """Otherwise the load would grow with each size that somebody adds."""
    repeats = asked(40, 8, 4, 1, runner=EchoServer())
    assert [one.batch_size for one in repeats if one.kind == "together"] == [1, 4] * 4


def test_one_sample_is_asked_again_and_none_is_not() -> None:
    """Otherwise a run of one sample would pass without a repeat, or one of none would break."""
    assert rows(asked(1, 1), "again", 1) == [[0]]
    assert asked(0, 1) == ()
