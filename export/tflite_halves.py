"""Constants of a `float16` file that nothing folds: they are stored as the floats that they are widened to.

A DEQUANTIZE of a constant runs once on tflite-runtime 2.14, and a change of the batch size moves its result's memory:
what reads it after that reads garbage. An embedding was right at batch size 1, and wrong at 7 after it. XNNPACK folds
what it takes into memory of its own: the weights of products and convolutions in the main graph, most of a model. Those
stay halves.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.tflite_edited import added_constant, drop_unread_constants, edited, holds, kind_of, widens_halves


def unfolded_halves_widened(content: bytes) -> bytes:
    """The `float16` file with constants that XNNPACK does not fold in float32: the same values, twice the size."""
    from tensorflow.lite.python import schema_py_generated as schema

    return edited(content, _widen) if holds(content, schema.BuiltinOperator.DEQUANTIZE) else content


def _widen(model: Any) -> None:
    for position, graph in enumerate(model.subgraphs):
        folded = _only_read_by_folding(model, graph) if position == 0 else set()
        kept, widened = [], set()
        for operation in graph.operators:
            if not widens_halves(model, graph, operation) or operation.outputs[0] in folded:
                kept.append(operation)
                continue
            narrow = int(operation.inputs[0])
            data = model.buffers[graph.tensors[narrow].buffer].data
            wide = np.asarray(data, np.uint8).view(np.float16).astype(np.float32)
            graph.tensors[operation.outputs[0]].buffer = added_constant(model, wide)
            widened.add(narrow)
        graph.operators = kept
        # What a product reads as well, as a weight that two layers share, is still asked for.
        drop_unread_constants(model, graph, widened)


def _only_read_by_folding(model: Any, graph: Any) -> set[int]:
    """The tensors that nothing but products and convolutions reads."""
    from tensorflow.lite.python import schema_py_generated as schema

    kinds = schema.BuiltinOperator
    folding = (kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D, kinds.FULLY_CONNECTED, kinds.TRANSPOSE_CONV)
    read: dict[bool, set[int]] = {True: set(), False: {int(tensor) for tensor in graph.outputs}}
    for operation in graph.operators:
        folds = kind_of(model, operation) in folding
        read[folds].update(int(tensor) for tensor in operation.inputs)
    return read[True] - read[False]
