"""Reversals and strides in five dimensions and more, one axis at a time in three: TF.js 4.22 has them to four on webgl.

Bidirectional ConvLSTM2D reverses, and networks on video take every other image.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from export.lowering.one_axis import MOST_ON_WEBGL, along
from export.lowering.places import attribute
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    shape = body.shape(body.inputs(node)[0])
    if shape is None or len(shape) <= MOST_ON_WEBGL or shape.count(None) > 1:
        return False
    taken = _reversed(body, node) if node.op == "ReverseV2" else _skipped(body, node)
    if taken is None or any(shape[axis] is None for axis in taken):
        return False

    def along_each(x: Any, *_: Any) -> Any:
        for axis, part in taken.items():
            x = along(x, axis, partial(_taken, part=part))
        return x

    body.replace(node, along_each)
    return True


def _reversed(body: Body, node: Any) -> Mapping[int, slice] | None:
    tensor, axes_name = body.inputs(node)
    axes, rank = body.constant(axes_name), len(body.shape(tensor) or ())
    return None if axes is None else {int(axis) % rank: slice(None, None, -1) for axis in axes}


def _skipped(body: Body, node: Any) -> Mapping[int, slice] | None:
    """What a StridedSlice takes along each axis, where it has a stride and neither adds nor drops an axis."""
    first, last, steps = (body.constant(name) for name in body.inputs(node)[1:])
    if first is None or last is None or steps is None or set(steps.tolist()) == {1}:
        return None
    masks = {key: attribute(node, f"{key}_mask").i for key in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    if masks["ellipsis"] or masks["new_axis"] or masks["shrink_axis"]:
        return None
    found = {
        axis: slice(
            None if masks["begin"] >> axis & 1 else int(begin),
            None if masks["end"] >> axis & 1 else int(end),
            int(step),
        )
        for axis, (begin, end, step) in enumerate(zip(first, last, steps, strict=True))
    }
    return {axis: part for axis, part in found.items() if part != slice(None, None, 1)}


def _taken(flat: Any, part: slice) -> Any:
    import tensorflow as tf

    return tf.reverse(flat, [1]) if part == slice(None, None, -1) else flat[:, part]


DEEP_SLICES = Lowering(
    name="deep_slices",
    operations=frozenset({"ReverseV2", "StridedSlice"}),
    becomes="the same, one axis at a time",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
