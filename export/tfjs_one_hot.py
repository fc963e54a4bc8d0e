"""One-hot rows of a TF.js graph made as integers, because the wasm kernel writes integers whatever the type.

In TF.js 4.22 `OneHot` on wasm leaves the bits of integers in a tensor of floats, where a 1 reads as 1.4e-45.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def count_one_hot(graph: Any, constants: Mapping[str, NDArray[Any]]) -> None:
    """Change a GraphDef in place: OneHot of whole numbers becomes one of int32, and a Cast behind it.

    `constants` are the values of its Const nodes by name. Rows of other numbers are left as they are.
    """
    from tensorflow.core.framework import types_pb2

    made = []
    for node in graph.node:
        if node.op != "OneHot" or node.attr["T"].type == types_pb2.DT_INT32:
            continue
        values = [constants.get(reference.split(":", 1)[0]) for reference in node.input[2:4]]
        if any(value is None or not np.array_equal(value, np.round(value)) for value in values):
            continue
        back = type(node)(op="Cast", name=node.name, input=[f"{node.name}/whole"])
        back.attr["SrcT"].type, back.attr["DstT"].type = types_pb2.DT_INT32, node.attr["T"].type
        node.name = f"{node.name}/whole"
        node.attr["T"].type = types_pb2.DT_INT32
        made.append(back)
    graph.node.extend(made)
