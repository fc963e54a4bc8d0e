"""The signature block of a TF.js graph model: put right, and read.

TF.js's converter pairs tensors with the SavedModel's names by dtype and shape, and gives a tensor that is not the only
one of its kind its raw name, `Identity_1:0`. TensorFlow itself knows which is which, so it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.signature import Signature, TensorSpec


def named_after(saved_model: Path, name: str, block: Mapping[str, Any]) -> dict[str, Any]:
    """The signature block with every tensor under the name that the SavedModel's signature `name` has for it."""
    import tensorflow as tf

    function = tf.saved_model.load(str(saved_model)).signatures[name]
    # Structures lie flat in the order of their sorted keys; what follows the inputs are the variables.
    inputs = sorted(function.structured_input_signature[1])
    outputs = sorted(function.structured_outputs)
    names = {
        "inputs": {tensor.name: key for key, tensor in zip(inputs, function.inputs[: len(inputs)], strict=True)},
        "outputs": {tensor.name: key for key, tensor in zip(outputs, function.outputs, strict=True)},
    }
    return {
        **block,
        **{
            kind: {keys.get(tensor["name"], given): tensor for given, tensor in block.get(kind, {}).items()}
            for kind, keys in names.items()
        },
    }


def signature_of_tfjs(block: Mapping[str, Any], name: str) -> Signature:
    """What the signature block says, under the given name: the block itself has none."""
    return Signature(name=name, inputs=_specs(block, "inputs"), outputs=_specs(block, "outputs"))


def write_empty_sizes(model: Any) -> None:
    """Write each dimension of no size as 0: protobuf's JSON leaves it out, and TF.js reads NaN there."""
    if isinstance(model, dict):
        sizes = model.get("dim")
        for size in sizes if isinstance(sizes, list) else ():
            size.setdefault("size", "0")
    for part in model.values() if isinstance(model, dict) else model if isinstance(model, list) else ():
        write_empty_sizes(part)


def _specs(block: Mapping[str, Any], kind: str) -> tuple[TensorSpec, ...]:
    import tensorflow as tf
    from tensorflow.core.framework import types_pb2

    return tuple(
        TensorSpec(
            name=name,
            dtype=tf.as_dtype(types_pb2.DataType.Value(tensor["dtype"])).name,
            shape=tuple(None if (size := int(one.get("size", 0))) < 0 else size for one in _sizes(tensor)),
        )
        for name, tensor in block.get(kind, {}).items()
        # A lookup table that the model brings along stands among its inputs, and nobody feeds it.
        if "resourceId" not in tensor
    )


def _sizes(tensor: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
    # A scalar's shape is written without dimensions.
    sizes: Sequence[Mapping[str, str]] = tensor["tensorShape"].get("dim", ())
    return sizes
