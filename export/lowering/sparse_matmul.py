"""A constant sparse matrix times a dense one, as a dense product: neither TF.js nor TFLite knows sparse tensors.

Graph networks multiply with the adjacency matrix of their graph so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.lowering.body import Body
from export.lowering.lowering import Lowering, When
from pipeline.core.artifact import Format

# As a dense constant: 64 MB of float32.
_LARGEST_ELEMENTS = 1 << 24


def _rewrite(body: Body, node: Any) -> bool:
    import tensorflow as tf

    indices, values, shape = (body.constant(name) for name in body.inputs(node)[:3])
    if indices is None or values is None or shape is None or int(np.prod(shape)) > _LARGEST_ELEMENTS:
        return False
    dense = np.zeros(shape, values.dtype)
    np.add.at(dense, tuple(indices.T), values)
    adjoint_a, adjoint_b = node.attr["adjoint_a"].b, node.attr["adjoint_b"].b

    def product(_indices: Any, _values: Any, _shape: Any, b: Any) -> Any:
        return tf.matmul(dense, b, adjoint_a=adjoint_a, adjoint_b=adjoint_b)

    body.replace(node, product)
    return True


SPARSE_MATMUL = Lowering(
    name="sparse_matmul",
    operations=frozenset({"SparseTensorDenseMatMul"}),
    becomes="a dense product",
    when={Format.TFLITE: When.ALWAYS, Format.TFJS: When.ALWAYS},
    rewrite=_rewrite,
)
