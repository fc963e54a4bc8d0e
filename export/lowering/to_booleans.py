"""Numbers as booleans by a comparison with zero: TF.js 4.22 on wasm cuts them down to one byte instead.

There 0.5 is false, and so is 256.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    given, wanted = (tf.as_dtype(node.attr[key].type) for key in ("SrcT", "DstT"))
    if wanted != tf.bool or not (given.is_floating or given.is_integer):
        return False
    body.replace(node, lambda x: tf.not_equal(x, tf.zeros([], x.dtype)))
    return True


TO_BOOLEANS = Lowering(
    name="to_booleans",
    operations=frozenset({"Cast"}),
    becomes="a comparison with zero",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
