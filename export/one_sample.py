"""A SavedModel whose signature takes one sample at a time: what TFLite needs where it cannot leave the batch open.

A recurrent layer collects its states in a list whose elements have the size of the batch, and TFLite's converter wants
to know that size. A file for one sample is what an edge device mostly runs anyway.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from export.lowered_saved_model import Used
from pipeline.core.signature import Signature

ONE_SAMPLE = Used(
    lowering="one_sample",
    operation="TensorListReserve",
    becomes="a list for one sample: the file takes one at a time",
    nodes=(),
)
_MODEL_FILE = "saved_model.pb"
# The operations on lists that say of which shape an element is, and the position of that input.
_ELEMENT_SHAPE = {"TensorListReserve": 0, "TensorListStack": 1, "TensorListFromTensor": 1, "TensorListGetItem": 2}


@contextmanager
def for_one_sample(saved_model: Path, signature: Signature, *, scratch: Path) -> Iterator[Path]:
    """Yield a SavedModel that answers one row with the original's weights; it lies in `scratch`, gone afterwards.

    The first dimension of every input has to be open.
    """
    import tensorflow as tf

    loaded = tf.saved_model.load(str(saved_model))
    call = loaded.signatures[signature.name]
    specs = {
        spec.name: tf.TensorSpec((1, *spec.shape[1:]), tf.as_dtype(spec.dtype), name=spec.name)
        for spec in signature.inputs
    }

    def answer(**row: Any) -> dict[str, Any]:
        return dict(call(**row))

    module = tf.Module()
    module.original = loaded
    function = tf.function(answer, autograph=False)
    with tempfile.TemporaryDirectory(prefix="one-sample-", dir=scratch) as folder:
        # Below the model's name, which messages take from the path.
        written = Path(folder, saved_model.parent.name, saved_model.name)
        tf.saved_model.save(module, str(written), signatures={signature.name: function.get_concrete_function(**specs)})
        _settle_lists(written / _MODEL_FILE)
        yield written


def _settle_lists(file: Path) -> None:
    """Let lists whose elements are of one open size, their first, say that it is 1."""
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for meta_graph in content.meta_graphs:
        for function in meta_graph.graph_def.library.function:
            makers = {node.name: node for node in function.node_def}
            for node in list(function.node_def):
                # Shapes that TensorFlow inferred for any batch would contradict what is known now.
                node.attr.pop("_output_shapes", None)
                if node.op in _ELEMENT_SHAPE:
                    _settle(node, makers, function)
    file.write_bytes(content.SerializeToString(deterministic=True))


def _settle(node: Any, makers: Mapping[str, Any], function: Any) -> None:
    position = _ELEMENT_SHAPE[node.op]
    constant = makers.get(node.input[position].split(":", 1)[0])
    sizes = _sizes(constant)
    if sizes and sizes[0] == -1 and min(sizes[1:], default=0) >= 0:
        name = _constant(function, f"{node.name}/settled_shape", constant, [1, *sizes[1:]])
        node.input[position] = f"{name}:output:0"


def _sizes(constant: Any | None) -> list[int]:
    import tensorflow as tf

    if constant is None or constant.op != "Const":
        return []
    value = tf.make_ndarray(constant.attr["value"].tensor)
    # A bare -1 is a shape of unknown rank.
    return [int(size) for size in value] if value.ndim == 1 else []


def _constant(function: Any, name: str, like: Any, sizes: list[int]) -> str:
    import numpy as np
    import tensorflow as tf

    made = function.node_def.add(name=name, op="Const")
    made.attr["dtype"].type = like.attr["dtype"].type
    kind = tf.as_dtype(like.attr["dtype"].type).as_numpy_dtype
    made.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.array(sizes, dtype=kind)))
    return name
