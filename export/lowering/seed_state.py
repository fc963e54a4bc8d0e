"""The state of a random generator is not kept: TF.js has no variables, and what is deployed draws nothing.

Keras counts a SeedGenerator on at every call of a recurrent layer with dropout, although it drops nothing then. TF.js's
converter refuses to freeze a variable that is assigned. Only that count is dropped, told by what it is: two integers
plus a constant. A model that does draw numbers from it still holds the operations that draw, which TF.js lacks.
"""

from __future__ import annotations

from typing import Any

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format

_SUMS = frozenset({"Add", "AddV2"})


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    if node.attr["dtype"].type not in (tf.int64.as_datatype_enum, tf.uint32.as_datatype_enum):
        return False
    counted = body.maker(body.inputs(node)[1])
    if counted is None or counted.op not in _SUMS:
        return False
    steps = [value for value in map(body.constant, body.inputs(counted)) if value is not None]
    if len(steps) != 1 or steps[0].shape != (2,):
        return False
    body.silence(node)
    return True


SEED_STATE = Lowering(
    name="seed_state",
    operations=frozenset({"AssignVariableOp"}),
    becomes="nothing: the count of a random generator is not kept",
    when={Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
