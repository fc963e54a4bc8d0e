"""FloorDiv of floats as a quotient rounded down: TF.js 4.22 makes integers of them on webgl and cpu."""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    if not tf.as_dtype(node.attr["T"].type).is_floating:
        return False
    body.replace(node, lambda x, y: tf.floor(x / y))
    return True


FLOOR_DIVISION = Lowering(
    name="floor_division",
    operations=frozenset({"FloorDiv"}),
    becomes="a quotient rounded down",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
