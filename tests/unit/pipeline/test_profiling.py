"""How many samples a profile is made from: all of them, unless the graph is too slow for that."""

from __future__ import annotations

import pytest

from pipeline.profiling import affordable


@pytest.mark.parametrize(
    ("count", "seconds", "tried"),
    [
        (500, 5.0, 500),
        (27, 5.0, 27),
        (27, 10.0, 13),
        (27, 3600.0, 4),
        (2, 3600.0, 2),
        (1, 0.0, 1),
    ],
)
def test_a_slow_graph_is_asked_less(count: int, seconds: float, tried: int) -> None:
    """A large network on large images would be tried out for an hour before anybody sees a verdict."""
    rows = affordable(count, seconds)
    assert len(rows) == tried
    assert (rows[0], rows[-1]) == (0, count - 1 if tried > 1 else 0)
