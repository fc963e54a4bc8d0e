"""Softsign as a quotient: TF.js has none."""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    body.replace(node, lambda x: x / (tf.abs(x) + 1))
    return True


SOFTSIGN = Lowering(
    name="softsign",
    operations=frozenset({"Softsign"}),
    becomes="x / (|x| + 1)",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
