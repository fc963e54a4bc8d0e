"""TensorFlow's own way of writing a graph, which frozen SavedModels and TF.js share: nodes that read by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def maker(reading: str) -> str:
    """The node behind an input: `node`, `node:1` and `^node` (wait only) are all of `node`."""
    return reading.lstrip("^").split(":", 1)[0]


def first_output(reading: str) -> str | None:
    """The node whose first output this is, or None for another output and for mere waiting."""
    name, _, port = reading.partition(":")
    return name if not name.startswith("^") and port in ("", "0") else None


def sorted_by_reading(names: Iterable[str], reads: dict[str, Sequence[str]]) -> list[str]:
    """The names, each after those that it reads; what runs in circles (loops) is left in the order given."""
    done: dict[str, None] = {}
    for name in names:
        # Without recursion, which a deep model would exhaust.
        stack = [(name, iter(reads.get(name, ())))]
        open_now = {name}
        while stack:
            current, rest = stack[-1]
            below = next((other for other in rest if other not in done and other not in open_now), None)
            if below is None:
                done.setdefault(current)
                open_now.discard(current)
                stack.pop()
            elif below in reads:
                open_now.add(below)
                stack.append((below, iter(reads[below])))
    return list(done)
