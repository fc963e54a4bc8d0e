"""Convolutions that skip pixels, with padding SAME, said to have none: SAME adds none where the stride is that large.

XNNPACK, as in tflite-runtime 2.14 and in TF.js's wasm backend, answers zeros for them (measured: kernel 3, stride 4 and
8); with padding VALID, which is the same there, it computes what TensorFlow does.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    image, kernel = body.inputs(node)
    sizes, weights = body.shape(image), body.constant(kernel)
    kernel_shape = body.shape(kernel) if weights is None else weights.shape
    plain = node.attr["padding"].s == b"SAME" and _given(node, "data_format").s in (b"", b"NHWC")
    if not plain or sizes is None or kernel_shape is None or len(sizes) != 4:
        return False
    strides, spread = list(node.attr["strides"].list.i), list(_given(node, "dilations").list.i) or [1] * 4
    added = [_added(sizes[axis], kernel_shape[axis - 1], strides[axis], spread[axis]) for axis in (1, 2)]
    if any(one is None or one > 0 for one in added) or all(one == 0 for one in added):
        return False
    node.attr["padding"].s = b"VALID"
    return True


def _given(node: Any, name: str) -> Any:
    """The attribute, or an empty one: asking for it by name would add one that no converter can read."""
    return node.attr[name] if name in node.attr else type(node.attr["padding"])()


def _added(size: int | None, kernel: int | None, stride: int, spread: int) -> int | None:
    """How much SAME adds along an axis (tf.nn.convolution), below zero where it skips pixels at the end instead."""
    # A kernel of one pixel is computed rightly, and frequent: every ResNet has some.
    if size is None or kernel is None or kernel == 1:
        return None
    return (-(-size // stride) - 1) * stride + (kernel - 1) * spread + 1 - size


UNPADDED_CONVOLUTION = Lowering(
    name="unpadded_convolution",
    operations=frozenset({"Conv2D", "DepthwiseConv2dNative"}),
    becomes="the same with padding VALID",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
