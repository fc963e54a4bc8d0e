"""SpaceToDepth as reshapes and a transposition: TF.js has only its inverse."""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    shape = body.shape(body.inputs(node)[0])
    known = [size for size in shape[1:] if size is not None] if shape is not None else []
    if len(known) != 3 or node.attr["data_format"].s not in (b"", b"NHWC"):
        return False
    block = int(node.attr["block_size"].i)
    height, width, channels = known

    def gathered(x: Any) -> Any:
        tiles = tf.reshape(x, [-1, height // block, block, width // block, block, channels])
        beside = tf.transpose(tiles, [0, 1, 3, 2, 4, 5])
        return tf.reshape(beside, [-1, height // block, width // block, block * block * channels])

    body.replace(node, gathered)
    return True


SPACE_TO_DEPTH = Lowering(
    name="space_to_depth",
    operations=frozenset({"SpaceToDepth"}),
    becomes="reshapes and a transposition",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
