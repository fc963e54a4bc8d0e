"""A SavedModel as one target's converter takes it best: simplified, and lowered where the target needs it."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.lowering.body import Body
from export.lowering.every import LOWERINGS
from export.lowering.lowering import Lowering, When
from export.simplified_saved_model import simplify
from pipeline.core.artifact import Format

_MODEL_FILE = "saved_model.pb"
_KEPT = ("variables", "assets")


@dataclass(frozen=True, kw_only=True)
class Used:
    """One lowering of one kind of operation: what took its place, and the names of the nodes."""

    lowering: str
    operation: str
    becomes: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """A SavedModel that answers the same, in a folder that lasts as long as the `with` block."""

    folder: Path
    used: tuple[Used, ...]


@contextmanager
def lowered(
    saved_model: Path, *, scratch: Path, target: Format, lowering: bool = True, refused: frozenset[str] = frozenset()
) -> Iterator[Lowered]:
    """Yield the copy for the converter of `target`. It lies in `scratch`; its variables are the original's, by link.

    `refused` are operations that the converter has refused before. Without `lowering` the copy is only simplified.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((saved_model / _MODEL_FILE).read_bytes())
    used: dict[tuple[Lowering, str], set[str]] = defaultdict(set)
    for meta_graph in content.meta_graphs:
        library = meta_graph.graph_def.library
        for function in list(library.function):
            simplify(function)
            if lowering:
                for done, operation, node in _lower(function, library, target, refused):
                    used[done, operation].add(node)
    with tempfile.TemporaryDirectory(prefix="lowered-", dir=scratch) as folder:
        for part in _KEPT:
            if (saved_model / part).exists():
                Path(folder, part).symlink_to((saved_model / part).resolve())
        Path(folder, _MODEL_FILE).write_bytes(content.SerializeToString(deterministic=True))
        yield Lowered(
            folder=Path(folder),
            used=tuple(
                Used(lowering=done.name, operation=operation, becomes=done.becomes, nodes=tuple(sorted(nodes)))
                for (done, operation), nodes in used.items()
            ),
        )


def operations_lowered_when_refused(target: Format) -> frozenset[str]:
    """The operations for which a refusal is not the last word."""
    return frozenset(
        operation
        for lowering in LOWERINGS
        if lowering.when.get(target) is When.REFUSED
        for operation in lowering.operations
    )


def _lower(function: Any, library: Any, target: Format, refused: frozenset[str]) -> Iterator[tuple[Lowering, str, str]]:
    body = Body(function, library)
    changed = False
    for lowering in LOWERINGS:
        when = lowering.when.get(target)
        if when is None:
            continue
        for node in body.nodes():
            operation = node.op
            if operation not in lowering.operations or (when is When.REFUSED and operation not in refused):
                continue
            if lowering.rewrite(body, node):
                changed = True
                yield lowering, operation, node.name
    if changed:
        body.prune()
