"""Which functions of a graph call which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def functions_called(node: Any) -> Iterator[str]:
    """The names of the functions that a NodeDef calls, or has among its attributes."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (one.name for one in value.list.func)


def functions_reached(graph_def: Any) -> frozenset[str]:
    """The functions that the graph outside all functions calls, and what these call. A SavedModel holds others, too."""
    library = {function.signature.name: function for function in graph_def.library.function}
    waiting = [name for node in graph_def.node for name in functions_called(node)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in library and name not in seen:
            seen.add(name)
            waiting += [called for node in library[name].node_def for called in functions_called(node)]
    return frozenset(seen)
