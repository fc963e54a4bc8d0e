"""Operations along one axis of many, in three dimensions: TF.js 4.22 has some to four dimensions only on webgl."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

MOST_ON_WEBGL = 4


def along(x: Any, axis: int, compute: Callable[[Any], Any]) -> Any:
    """What `compute` makes of the tensor as [before, along, behind] the axis, in the other dimensions that it has.

    The size along the axis is known, before and after, and so are the others but for one.
    """
    import tensorflow as tf

    sizes = [-1 if size is None else int(size) for size in x.shape]
    before, behind = (-1 if -1 in some else math.prod(some) for some in (sizes[:axis], sizes[axis + 1 :]))
    found = compute(tf.reshape(x, [before, sizes[axis], behind]))
    return tf.reshape(found, [*sizes[:axis], int(found.shape[1]), *sizes[axis + 1 :]])
