"""A convolution in groups as one convolution a group: TF.js has only convolutions over all channels.

Where every channel is a group of its own it is a depthwise convolution, which TF.js has.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    shape, kernel = (body.shape(name) for name in body.inputs(node))
    if shape is None or kernel is None or shape[-1] is None or kernel[-2] is None or shape[-1] == kernel[-2]:
        return False
    if node.attr["data_format"].s not in (b"", b"NHWC", b"NDHWC"):
        return False
    settings: dict[str, Any] = {
        "strides": list(node.attr["strides"].list.i),
        "padding": node.attr["padding"].s.decode(),
        "dilations": list(node.attr["dilations"].list.i) or [1] * len(shape),
    }
    groups = shape[-1] // kernel[-2]
    if node.op == "Conv3D":
        body.replace(node, partial(_grouped, partial(tf.raw_ops.Conv3D, **settings), groups))
        return True
    settings["explicit_paddings"] = list(node.attr["explicit_paddings"].list.i)
    _, down, across, _ = settings["strides"]
    # TensorFlow's own depthwise convolution takes no uneven strides.
    if kernel[-2] == 1 and down == across:
        body.replace(node, partial(_depthwise, **settings))
    else:
        body.replace(node, partial(_grouped, partial(tf.raw_ops.Conv2D, **settings), groups))
    return True


def _grouped(convolution: Any, groups: int, x: Any, kernel: Any) -> Any:
    import tensorflow as tf

    parts = zip(tf.split(x, groups, axis=-1), tf.split(kernel, groups, axis=-1), strict=True)
    return tf.concat([convolution(input=part, filter=weights) for part, weights in parts], axis=-1)


def _depthwise(x: Any, kernel: Any, **settings: Any) -> Any:
    import tensorflow as tf

    rows, columns, _, outputs = kernel.shape
    channels = x.shape[-1]
    weights = tf.reshape(kernel, [rows, columns, channels, outputs // channels])
    return tf.raw_ops.DepthwiseConv2dNative(input=x, filter=weights, **settings)


GROUPED_CONVOLUTION = Lowering(
    name="grouped_convolution",
    operations=frozenset({"Conv2D", "Conv3D"}),
    becomes="one convolution a group",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
