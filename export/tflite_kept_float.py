"""Selective quantization of a TFLite file: all layers but some, which stay in float between two conversions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from export.layers_by_name import belongs_to, check_all_found
from pipeline.core.artifact import Precision

SELECTIVE_PRECISIONS = frozenset({Precision.INT8, Precision.INT8_IO})
"""Not int16x8: asked for int16, this quantizer gives activations a zero point, which no int16 kernel takes."""


def quantized_but(
    calibrated: bytes, layers: Sequence[str], *, precision: Precision, label: str, operations: Sequence[str] = ()
) -> bytes:
    """The file quantized to int8 made of a calibrated one; all of `layers` and `operations`, if any, is left in float.

    `calibrated` is what a TFLite converter with `_experimental_calibrate_only` gives, `operations` are named by the
    tensors that they make. Raises ConversionFailed for a layer that the file has nothing of.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    given = tf.int8 if precision is Precision.INT8_IO else tf.float32
    quantized: bytes = mlir_quantize(
        calibrated,
        input_data_type=given,
        output_data_type=given,
        denylisted_nodes=[*_operations_of(calibrated, layers, label), *operations],
        disable_per_channel_for_dense_layers=True,
    )
    return quantized


def _operations_of(content: bytes, layers: Sequence[str], label: str) -> list[str]:
    """The layers' operations, as the quantizer calls them: by the name of the first tensor that each makes.

    The last operation of a model has lost its own name, but not those of its weights.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    found: dict[str, list[str]] = {}
    for graph in (model.Subgraphs(position) for position in range(model.SubgraphsLength())):
        for operation in (graph.Operators(position) for position in range(graph.OperatorsLength())):
            if operation.OutputsLength() == 0:
                continue  # one that sets a variable has no name that the quantizer would know it by
            made = [_name(graph, index) for index in operation.OutputsAsNumpy()]
            constants = [
                _name(graph, index)
                for index in np.atleast_1d(operation.InputsAsNumpy())
                if index >= 0 and model.Buffers(graph.Tensors(index).Buffer()).DataLength() > 0
            ]
            found[made[0]] = made + constants
    check_all_found(layers, [name for names in found.values() for name in names], label=label)
    return [first for first, names in found.items() if any(belongs_to(name, layers) for name in names)]


def _name(graph: Any, index: int) -> str:
    name: bytes = graph.Tensors(index).Name()
    return name.decode()
