"""Cumsum and Cumprod along an axis counted from behind, counted from the front instead.

TF.js 4.22 takes -1 for one axis more: it transposes to a shape that is not there, and then fails, or answers wrongly.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from export.lowering.raw_operation import raw_operation
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    tensor, axis_name = body.inputs(node)
    shape, axis = body.shape(tensor), body.constant(axis_name)
    if shape is None or axis is None or int(axis) >= 0:
        return False
    compute, from_front = raw_operation(node), int(axis) + len(shape)
    body.replace(node, lambda x, _axis: compute(x, from_front))
    return True


AXIS_FROM_BEHIND = Lowering(
    name="axis_from_behind",
    operations=frozenset({"Cumsum", "Cumprod"}),
    becomes="the same along the axis counted from the front",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
