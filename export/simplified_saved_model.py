"""A SavedModel's functions without what only a server needs or nobody does; they answer the same.

Two things are rewritten, for every converter:

- *Reshapes are settled.* Keras 3 writes Flatten and Reshape with a target that is put together at run time,
  `[shape(x)[0], 128]`. In TFLite that makes a tensor of unknown size, and tflite-runtime 2.14 then applies XNNPACK to
  nothing at all, in silence, at a quarter of the speed. All sizes but one are constants, so `[-1, 128]` says the same.
- *Shape checks pass on what they are given.* The serving signature checks its inputs with EnsureShape. TF.js 4.22
  lists that operation, but takes the shape for a second input and fails for want of it. Both runtimes check the shapes
  of a model's inputs before the first operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def simplify(function: Any) -> None:
    """Change a FunctionDef of a SavedModel, in place; it answers the same."""
    _settle_reshapes(function)
    _pass_on_checked(function)


def _pass_on_checked(function: Any) -> None:
    for node in function.node_def:
        if node.op == "EnsureShape":
            node.op = "Identity"
            node.attr.pop("shape", None)


def _settle_reshapes(function: Any) -> None:
    makers = {node.name: node for node in function.node_def}
    for reshape in [node for node in function.node_def if node.op == "Reshape"]:
        target = _target(reshape, makers)
        if target is None:
            continue
        constant = function.node_def.add(name=f"{reshape.name}/settled", op="Const")
        constant.attr["dtype"].type = target.dtype
        constant.attr["value"].tensor.CopyFrom(target)
        reshape.input[1] = f"{constant.name}:output:0"


def _target(reshape: Any, makers: Mapping[str, Any]) -> Any | None:
    """The target shape with -1 for its only unknown size, or None when it is constant or has more unknown sizes."""
    import numpy as np
    import tensorflow as tf

    pack = makers.get(_maker(reshape.input[1]))
    if pack is None or pack.op != "Pack":
        return None
    sizes = [_constant(makers.get(_maker(name))) for name in pack.input if not name.startswith("^")]
    # Beside a constant 0 the unknown size could not be told, and a constant -1 is one unknown size already.
    if sizes.count(None) != 1 or any(size is not None and size <= 0 for size in sizes):
        return None
    dtype = tf.as_dtype(pack.attr["T"].type).as_numpy_dtype
    return tf.make_tensor_proto(np.array([-1 if size is None else size for size in sizes], dtype=dtype))


def _maker(name: str) -> str:
    """The node that makes an input: inside functions these read `node:output:0`."""
    return name.split(":", 1)[0]


def _constant(node: Any | None) -> int | None:
    import tensorflow as tf

    return int(tf.make_ndarray(node.attr["value"].tensor)) if node is not None and node.op == "Const" else None
