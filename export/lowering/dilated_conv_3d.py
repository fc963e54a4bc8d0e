"""A convolution of three dimensions with gaps between the weights, from the three operations that Keras makes of it.

Keras's Conv3D with `dilation_rate`: space to batch, a plain convolution, batch to space. TFLite and TF.js on webgl take
apart four dimensions and no more, and both convolve with gaps.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.deep_pad import padded
from export.lowering.dilated_transpose import with_gaps
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    batches, *settings = body.inputs(node)
    convolution = body.maker(batches)
    if convolution is None or convolution.op != "Conv3D" or not _is_plain(convolution):
        return False
    scattered, weights = body.inputs(convolution)
    spread = body.maker(scattered)
    if spread is None or spread.op != "SpaceToBatchND":
        return False
    tensor, *before = body.inputs(spread)
    gaps, paddings, blocks, crops = (body.constant(name) for name in (*before, *settings))
    shape = body.shape(tensor)
    if gaps is None or paddings is None or blocks is None or crops is None or gaps.tolist() != blocks.tolist():
        return False
    if shape is None or None in shape[1:] or len(gaps) != 3:
        return False

    def convolved(x: Any, kernel: Any) -> Any:
        wide = padded(x, [[0, 0], *paddings.tolist(), [0, 0]])
        if len(set(gaps.tolist())) > 1:
            # TensorFlow 2.21 infers shapes with the gaps of rows and columns exchanged.
            for axis, gap in enumerate(gaps.tolist()):
                kernel = with_gaps(kernel, axis, gap)
            found = tf.nn.conv3d(wide, kernel, [1] * 5, "VALID")
        else:
            found = tf.nn.conv3d(wide, kernel, [1] * 5, "VALID", dilations=[1, *gaps.tolist(), 1])
        sizes = [int(size) - sum(cut) for size, cut in zip(found.shape[1:4], crops.tolist(), strict=True)]
        return tf.slice(found, [0, *crops[:, 0].tolist(), 0], [-1, *sizes, -1])

    body.replace(node, convolved, of=[tensor, weights])
    return True


def _is_plain(convolution: Any) -> bool:
    """Whether it takes every place once, and adds none around."""
    steps = (*convolution.attr["strides"].list.i, *convolution.attr["dilations"].list.i)
    layout = convolution.attr["data_format"].s
    return set(steps) <= {1} and convolution.attr["padding"].s == b"VALID" and layout in (b"", b"NDHWC")


DILATED_CONV_3D = Lowering(
    name="dilated_conv_3d",
    operations=frozenset({"BatchToSpaceND"}),
    becomes="one convolution with gaps between the weights",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
