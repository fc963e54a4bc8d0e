"""Constants of a `float16` file that no half float holds: they are kept as the float32 that they were.

TFLite's converter narrows every constant. What is beyond 65,504 becomes that, so that a factor of 1e30, folded into the
weights of a dense layer, left answers of 1e5; the epsilon of 1e-12 of a normalization becomes 0. The exact values are
those of the same model's float32 file, whose operations come in the same order. So are those of weights that are so
small all over that halves have few bits of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.halves import fits_half
from export.tflite_edited import added_constant, drop_unread_constants, edited, indices, kind_of, widens_halves

_LARGEST_HALF = 65_504.0
_SMALLEST_NORMAL = 2.0**-14


def kept_beyond_halves(narrow: bytes, exact: Callable[[], bytes], saved_model: Path) -> tuple[bytes, tuple[str, ...]]:
    """The `float16` file with each constant that halves cannot hold in float32, and the names of these.

    `exact` makes the float32 file of the same SavedModel; it is asked only when there may be such a constant. A file
    whose operations are others is left as it is: its answers then fail.
    """
    found = list(_suspected(narrow))
    zeros = [values for values in found if not np.any(values)]
    cut = len(zeros) < len(found)
    if not cut and not (zeros and any(_vanishes(value, zeros) for value in _floats_of(saved_model))):
        return narrow, ()
    from tensorflow.lite.python import schema_py_generated as schema

    source = schema.ModelT.InitFromPackedBuf(exact(), 0)
    names: list[str] = []
    content = edited(narrow, lambda model: names.extend(_exchange(model, source)))
    return (content, tuple(sorted(names))) if names else (narrow, ())


def _suspected(content: bytes) -> Iterator[NDArray[Any]]:
    """The constants of halves that are at the end of what these hold, small all over, or nothing but zeros.

    Not a small single number, such as an epsilon of 1e-5: it is not worth a second conversion.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    for graph in (model.Subgraphs(at) for at in range(model.SubgraphsLength())):
        for tensor in (graph.Tensors(at) for at in range(graph.TensorsLength())):
            data = model.Buffers(tensor.Buffer()).DataAsNumpy()
            if tensor.Type() == schema.TensorType.FLOAT16 and isinstance(data, np.ndarray):
                values = data.view(np.float16)
                largest = max(np.max(values), -np.min(values))
                fits = _SMALLEST_NORMAL <= largest < _LARGEST_HALF
                if not fits and (values.size > 1 or not 0 < largest < _LARGEST_HALF):
                    yield values


def _vanishes(value: NDArray[Any], zeros: list[NDArray[Any]]) -> bool:
    """Whether the value may be one of those that are zeros as halves. It may have been multiplied with another."""
    return not fits_half(value) and any(value.size in (1, one.size) for one in zeros)


def _floats_of(saved_model: Path) -> Iterator[NDArray[Any]]:
    """All float32 constants and variables of a SavedModel."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
    number = tf.float32.as_datatype_enum
    for graph in content.meta_graphs:
        for function in graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == "Const" and node.attr["dtype"].type == number:
                    yield tf.make_ndarray(node.attr["value"].tensor)
    variables = saved_model / "variables" / "variables"
    if variables.with_suffix(".index").is_file():
        reader = tf.train.load_checkpoint(str(variables))
        for name, dtype in reader.get_variable_to_dtype_map().items():
            if dtype == tf.float32:
                yield np.asarray(reader.get_tensor(name))


def _exchange(narrow: Any, source: Any) -> Iterator[str]:
    for graph, original in zip(narrow.subgraphs, source.subgraphs, strict=True):
        widening = {int(one.outputs[0]): one for one in graph.operators if widens_halves(narrow, graph, one)}
        aside = {id(one) for one in widening.values()}
        computing = [one for one in graph.operators if id(one) not in aside]
        if [kind_of(narrow, one) for one in computing] != [kind_of(source, one) for one in original.operators]:
            continue
        exact = {
            index: value
            for one, other in zip(computing, original.operators, strict=True)
            for index, given in zip(indices(one.inputs), indices(other.inputs), strict=True)
            if index in widening and (value := _float32(source, original, given)) is not None and not fits_half(value)
        }
        kept = {id(widening[index]) for index in exact}
        graph.operators = [one for one in graph.operators if id(one) not in kept]
        for index, value in exact.items():
            graph.tensors[index].buffer = added_constant(narrow, value)
            yield graph.tensors[index].name.decode()
        drop_unread_constants(narrow, graph, {int(widening[index].inputs[0]) for index in exact})


def _float32(model: Any, graph: Any, index: int) -> NDArray[Any] | None:
    """The value of a constant of float32."""
    from tensorflow.lite.python import schema_py_generated as schema

    if index < 0 or graph.tensors[index].type != schema.TensorType.FLOAT32:
        return None
    data = model.buffers[graph.tensors[index].buffer].data
    return None if data is None or not len(data) else np.asarray(data, np.uint8).view(np.float32)
