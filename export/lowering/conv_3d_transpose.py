"""A transposed convolution of three dimensions as a convolution of the spread input: TF.js has none.

Between the values along each axis come `stride - 1` zeros, around them what makes the size right; the kernel is
mirrored, and its input and output channels change places. Dumoulin and Visin, "A guide to convolution arithmetic for
deep learning" (arXiv:1603.07285), section 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from export.lowering.body import Body
from export.lowering.dilated_transpose import with_gaps
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    _, kernel_name, tensor = body.inputs(node)
    given, kernel, made = body.shape(tensor), body.shape(kernel_name), body.shape(f"{node.name}:output:0")
    if given is None or kernel is None or made is None or None in (*given[1:], *kernel, *made[1:]):
        return False
    if node.attr["data_format"].s not in (b"", b"NDHWC"):
        return False
    gaps = list(node.attr["dilations"].list.i)[1:4] or [1] * 3
    strides = list(node.attr["strides"].list.i)[1:4]
    same = node.attr["padding"].s == b"SAME"
    margins = [
        _margins(int(size or 0), (int(length or 0) - 1) * gap + 1, int(wanted or 0), stride, same=same)
        for size, length, gap, wanted, stride in zip(given[1:4], kernel[:3], gaps, made[1:4], strides, strict=True)
    ]

    def convolved(_sizes: Any, weights: Any, x: Any) -> Any:
        for axis, (stride, around) in enumerate(zip(strides, margins, strict=True), start=1):
            x = _spread(x, axis, stride, around)
        for axis, gap in enumerate(gaps):
            weights = with_gaps(weights, axis, gap)
        mirrored = tf.transpose(tf.reverse(weights, [0, 1, 2]), [0, 1, 2, 4, 3])
        return tf.nn.conv3d(x, mirrored, [1] * 5, "VALID")

    body.replace(node, convolved)
    return True


def _margins(size: int, length: int, wanted: int, stride: int, *, same: bool) -> tuple[int, int]:
    """The zeros before and after the spread input, by the padding of the convolution that this one transposes."""
    reach = (size - 1) * stride
    cut = max(reach + length - wanted, 0) // 2 if same else 0
    return length - 1 - cut, wanted + cut - reach - 1


def _spread(x: Any, axis: int, stride: int, around: tuple[int, int]) -> Any:
    """Zeros between and around the values along one axis; four dimensions at most, which every backend pads."""
    import tensorflow as tf

    shape = list(x.shape)
    size, after = shape[axis], math.prod(shape[axis + 1 :])
    before, behind = around
    # Behind every value come its zeros, behind the last one as well.
    flat = tf.pad(tf.reshape(x, [-1, size, 1, after]), [[0, 0], [0, 0], [0, stride - 1], [0, 0]])
    flat = tf.reshape(flat, [-1, size * stride, after])
    surplus = behind - (stride - 1)
    flat = flat[:, : size * stride + min(surplus, 0)]
    flat = tf.pad(flat, [[0, 0], [before, max(surplus, 0)], [0, 0]])
    return tf.reshape(flat, _with(shape, axis, int(flat.shape[1])))


def _with(shape: Sequence[int | None], axis: int, size: int) -> list[int]:
    sizes = [-1, *(int(one or 0) for one in shape[1:])]
    sizes[axis] = size
    return sizes


CONV_3D_TRANSPOSE = Lowering(
    name="conv_3d_transpose",
    operations=frozenset({"Conv3DBackpropInputV2"}),
    becomes="a convolution of the spread input",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
