"""A SavedModel as one target's converter takes it best: simplified, and lowered where the target needs it."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.functions_called import functions_reached
from export.lowering.body import Body
from export.lowering.every import LOWERINGS
from export.lowering.in_float32 import BECOMES, DOUBLES, HALVES, NAME, compute_in_float32
from export.lowering.lowering import Lowering, When
from export.lowering.tables import constant_tables, empty_unread
from export.simplified_saved_model import simplify
from pipeline.core.artifact import Format

_MODEL_FILE = "saved_model.pb"
_KEPT = ("variables", "assets")
# What a converter's message calls the type, beside operations, when it refuses one for it.
_REFUSED_TYPE = {"f64": "float64"}


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
    used: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for meta_graph in content.meta_graphs:
        library = meta_graph.graph_def.library
        tables = constant_tables(meta_graph) if lowering else {}
        reached = functions_reached(meta_graph.graph_def)
        if lowering:
            for kind, nodes in compute_in_float32(meta_graph, _narrowed(target, refused)).items():
                used[NAME, f"arithmetic in {kind}", BECOMES] |= nodes
        for function in list(library.function):
            simplify(function)
            if lowering:
                for done, operation, node in _lower(Body(function, library, tables), target, refused):
                    # Others are lowered as far as can be seen of them, and no converter meets them.
                    if function.signature.name in reached:
                        used[done.name, operation, done.becomes].add(node)
        if target is Format.TFLITE:
            empty_unread(meta_graph, tables)
    with _written(content, saved_model, scratch) as folder:
        yield Lowered(
            folder=folder,
            used=tuple(
                Used(lowering=name, operation=operation, becomes=becomes, nodes=tuple(sorted(nodes)))
                for (name, operation, becomes), nodes in used.items()
            ),
        )


@contextmanager
def in_float32(saved_model: Path) -> Iterator[Path | None]:
    """Yield a copy that computes in float32 where the model computes in halves or doubles; such nodes are marked.

    None when there are none such, or it cannot be made.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((saved_model / _MODEL_FILE).read_bytes())
    found = [compute_in_float32(meta_graph, (*HALVES, *DOUBLES), mark=True) for meta_graph in content.meta_graphs]
    if not any(found):
        yield None
        return
    with _written(content, saved_model, None) as folder:
        yield folder


@contextmanager
def _written(content: Any, saved_model: Path, scratch: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lowered-", dir=scratch) as folder:
        for part in _KEPT:
            if (saved_model / part).exists():
                Path(folder, part).symlink_to((saved_model / part).resolve())
        Path(folder, _MODEL_FILE).write_bytes(content.SerializeToString(deterministic=True))
        yield Path(folder)


def lowered_when_refused(target: Format) -> frozenset[str]:
    """The operations, and the types, for which a refusal is not the last word."""
    operations = {
        operation
        for lowering in LOWERINGS
        if lowering.when.get(target) is When.REFUSED
        for operation in lowering.operations
    }
    return frozenset(operations | (set(DOUBLES) if target is Format.TFLITE else set()))


def refused_in(text: str) -> frozenset[str]:
    """The operations of TensorFlow that TFLite's converter names in its message, and float64 where it names that."""
    types = {name for written, name in _REFUSED_TYPE.items() if re.search(rf"tensor<(?:[^>]*x)?{written}>", text)}
    return frozenset(re.findall(r"'tf\.(\w+)' op", text)) | types


def _narrowed(target: Format, refused: frozenset[str]) -> tuple[str, ...]:
    """The types that `target` does not compute in. TFLite casts doubles, and does little else with them."""
    wanted = target is Format.TFJS or not refused.isdisjoint(DOUBLES)
    return (*HALVES, *DOUBLES) if wanted else HALVES


def _lower(body: Body, target: Format, refused: frozenset[str]) -> Iterator[tuple[Lowering, str, str]]:
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
            else:
                _drop_empty(node.attr)
    if changed:
        body.prune()


def _drop_empty(attributes: Any) -> None:
    """Take out what only looking put there, as protobuf's maps have it: TensorFlow loads no empty attribute.

    Exported models leave attributes out that have their defaults.
    """
    for name in [name for name, value in attributes.items() if value.WhichOneof("value") is None]:
        del attributes[name]
