"""A branch as a choice between both results: files with branches take one batch size only on tflite-runtime 2.14.

Both sides are computed, whichever is taken. So neither may have an effect, or a loop, which might never end for values
that it was not written for; and both must answer in one shape, since a choice would stretch the smaller one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from export.lowering.body import Body
from export.lowering.debugging import DEBUGGING
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf"})
_LOOPS = frozenset({"While", "StatelessWhile"})
# Said to have effects, and without one as long as nothing writes.
_READS = frozenset({"ReadVariableOp", "LookupTableFindV2"})


def _rewrite(body: Body, node: Any) -> bool:
    from tensorflow.core.framework import types_pb2

    if node.attr["Tcond"].type != types_pb2.DT_BOOL:
        return False
    sides = [body.function(node.attr[side].func.name) for side in ("then_branch", "else_branch")]
    if not all(_harmless(side) for side in sides) or not _alike(*sides):
        return False
    body.choose(node)
    return True


def _harmless(side: Body) -> bool:
    from tensorflow.python.framework import op_def_registry

    for node in side.nodes():
        if node.op in _LOOPS:
            return False
        if node.op in _CALLS:
            if not all(_harmless(side.function(name)) for name in _called(node)):
                return False
        elif node.op not in _READS | DEBUGGING.operations:
            definition = op_def_registry.get(node.op)
            if definition is None or definition.is_stateful:
                return False
    return True


def _called(node: Any) -> Iterator[str]:
    for attribute in ("f", "then_branch", "else_branch"):
        if attribute in node.attr:
            yield str(node.attr[attribute].func.name)


def _alike(then: Body, other: Body) -> bool:
    """Whether both answer in one shape, but for a first dimension that both leave open: the batch."""
    for left, right in zip(then.output_shapes(), other.output_shapes(), strict=True):
        if left is None or left != right or None in left[1:]:
            return False
    return True


BRANCH = Lowering(
    name="branch",
    operations=frozenset({"If", "StatelessIf"}),
    becomes="both sides, and a choice between their results",
    when={Format.TFLITE: When.ALWAYS},
    rewrite=_rewrite,
)
