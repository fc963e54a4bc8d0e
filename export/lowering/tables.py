"""What the tables of a SavedModel hold, for the functions that are given them: constants of the graph, put in once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from numpy.typing import NDArray

# Keys and values, side by side, under the function's name and that of its argument.
Tables: TypeAlias = Mapping[tuple[str, str], tuple[NDArray[Any], NDArray[Any]]]

_IMPORT = "LookupTableImportV2"
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}


def constant_tables(meta_graph: Any) -> Tables:
    """The tables that nothing changes after constants have filled them; a table that is read from a file is not one."""
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    library = meta_graph.graph_def.library
    functions = {function.signature.name: function for function in library.function}
    calls = [("", node) for node in meta_graph.graph_def.node]
    calls += [(function.signature.name, node) for function in library.function for node in function.node_def]
    given: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for caller, node in calls:
        function = functions.get(node.attr["f"].func.name) if node.op in _CALLS else None
        for argument, source in zip(() if function is None else function.signature.input_arg, node.input, strict=False):
            key = (node.attr["f"].func.name, argument.name)
            given.setdefault(key, set()).add((caller, source.partition(":")[0]))

    def origin(function: str, name: str) -> Any | None:
        """The node outside all functions that an argument comes from, or None where callers give different ones."""
        if not function:
            return nodes.get(name)
        sources = {id(one): one for one in (origin(*place) for place in given.get((function, name), ()))}
        return next(iter(sources.values())) if len(sources) == 1 else None

    filled: dict[str, list[tuple[NDArray[Any], NDArray[Any]] | None]] = {}
    for function, node in _filling(library):
        table, keys, values = (origin(function, name) for name in node.input[:3])
        if table is not None:
            filled.setdefault(table.name, []).append(_constants(keys, values))
    held = {}
    for function, argument in given:
        table = origin(function, argument)
        content = filled.get(table.name, []) if table is not None and table.op == "HashTableV2" else []
        if len(content) == 1 and content[0] is not None:
            held[function, argument] = content[0]
    return held


def empty_unread(meta_graph: Any, tables: Tables) -> None:
    """Let nothing fill a constant table that no function reads any more: TFLite's converter refuses the filling itself.

    Only integers for integers: a search in these that is left makes the converter refuse, so none finds a table empty.
    """
    read = set()
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            if node.op not in _CALLS and node.op != _IMPORT:
                read |= {
                    id(tables[place]) for name in node.input if (place := (function.signature.name, name)) in tables
                }
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            content = tables.get((function.signature.name, node.input[0])) if node.op == _IMPORT else None
            if (
                content is not None
                and content[0].dtype.kind in "iu"
                and content[1].dtype.kind in "iu"
                and id(content) not in read
            ):
                node.input[:] = [name for name in node.input if name.startswith("^")]
                node.attr.clear()
                node.op = "NoOp"


def _filling(library: Any) -> Iterator[tuple[str, Any]]:
    for function in library.function:
        for node in function.node_def:
            if node.op in (_IMPORT, "LookupTableInsertV2", "InitializeTableFromTextFileV2"):
                yield function.signature.name, node


def _constants(keys: Any | None, values: Any | None) -> tuple[NDArray[Any], NDArray[Any]] | None:
    import tensorflow as tf

    if keys is None or values is None or keys.op != "Const" or values.op != "Const":
        return None
    return tf.make_ndarray(keys.attr["value"].tensor), tf.make_ndarray(values.attr["value"].tensor)
