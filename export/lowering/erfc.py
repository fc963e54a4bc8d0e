"""Erfc as one minus Erf: TF.js knows only the latter. Keras's GELU asks for it.

Not the same to the last bit far out, where Erfc is tiny and one minus Erf rounds to zero; the difference is below one
unit in the last place of 1.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    body.replace(node, lambda x: 1 - tf.math.erf(x))
    return True


ERFC = Lowering(
    name="erfc",
    operations=frozenset({"Erfc"}),
    becomes="1 - Erf",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
