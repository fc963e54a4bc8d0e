"""A SavedModel as a TF.js graph model, with weights in one of four precisions.

The graph is optimized by the converter's own passes, without its large constants (`tfjs_graph.py`), and written here:
on its way through the converter everything is copied ten times. A model whose graph cannot stand alone takes that way.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from export.kept_signature import check_kept
from export.layers_by_name import belongs_to, check_all_found
from export.lowered_saved_model import Used, lowered
from export.small_floats import NO_SMALL_FLOATS
from export.tensorflowjs_import import graph_model_converter
from export.tfjs_booleans import widen_booleans
from export.tfjs_control_inputs import drop_control_inputs
from export.tfjs_fused import take_fusions_apart
from export.tfjs_graph import TfjsGraph, UnsupportedOperations, optimized_graph, tfjs_graph
from export.tfjs_hard_swish import take_hard_swish_apart
from export.tfjs_one_hot import count_one_hot
from export.tfjs_signature import named_after, signature_of_tfjs, write_empty_sizes
from export.tfjs_tables import check_tables_fit, only_tables_read_by
from export.tfjs_weights import read_weights, write_weights
from pipeline.core.artifact import TFJS_PRECISIONS, Format, Precision
from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Signature

MODEL_FILE = "model.json"
_HINT = "the layer that holds the operation named has to be written without it for TF.js"

# A model.json as a dictionary, its manifest not yet true, and the weights by name, float32.
_Model: TypeAlias = tuple[dict[str, Any], Iterable[tuple[str, NDArray[Any]]]]


def tfjs_from_saved_model(
    saved_model: Path,
    *,
    into: Path,
    signature: Signature,
    precision: Precision,
    keep_float: Sequence[str] = (),
    lowering: bool = True,
    model_name: str | None = None,
) -> tuple[Used, ...]:
    """Convert one signature to `<into>/model.json` and weight shards beside it; return the lowerings that it took.

    `keep_float` names layers whose weights stay float32. Raises ConversionFailed for operations that TF.js does not
    have, for a precision that it does not have, a layer that is not there, and when what was written has another
    signature.
    """
    label = f"{model_name or saved_model.parent.name} tfjs {precision}"
    _check_precision(precision, label)
    check_tables_fit(saved_model, label=label)
    with (
        lowered(saved_model, scratch=into, target=Format.TFJS, lowering=lowering) as source,
        tempfile.TemporaryDirectory(prefix="converter-", dir=into) as scratch,
    ):
        try:
            graph = tfjs_graph(source.folder, signature.name)
            model, weights = (
                _by_the_converter(source.folder, Path(scratch), signature.name) if graph is None else _ours(graph)
            )
        except UnsupportedOperations as error:
            small = any(name.startswith("Cast to float8") for name in error.nodes)
            raise ConversionFailed(f"{label}: {error}", hint=NO_SMALL_FLOATS if small else _HINT) from error
        except Exception as error:  # the converter raises plain Exception, too
            raise ConversionFailed(
                f"{label}: TF.js's converter refused the model: {' '.join(str(error).split()) or type(error).__name__}",
                hint=_HINT,
            ) from error
        constants = dict(weights)
        model["modelTopology"] = _as_tfjs_runs_it(model["modelTopology"], constants)
        write_empty_sizes(model)
        check_kept(signature_of_tfjs(model["signature"], signature.name), signature, label=label)
        _write(model, constants.items(), into=into, precision=precision, keep_float=keep_float, label=label)
    return source.used


def tfjs_from_tfjs(
    source: Path, *, into: Path, model_name: str, precision: Precision, keep_float: Sequence[str] = ()
) -> None:
    """Write the float32 graph model in the folder `source` once more, with its weights in another precision.

    Raises ConversionFailed for a precision that TF.js does not have, and a layer that is not there.
    """
    label = f"{model_name} tfjs {precision}"
    _check_precision(precision, label)
    model = json.loads((source / MODEL_FILE).read_text())
    weights = read_weights(source, model["weightsManifest"])
    _write(model, weights, into=into, precision=precision, keep_float=keep_float, label=label)


def _check_precision(precision: Precision, label: str) -> None:
    if precision not in TFJS_PRECISIONS:
        raise ConversionFailed(
            f"{label}: TF.js stores weights as {', '.join(TFJS_PRECISIONS)}",
            hint="correct convert.tfjs in tripoint.toml",
        )


def _write(
    model: dict[str, Any],
    weights: Iterable[tuple[str, NDArray[Any]]],
    *,
    into: Path,
    precision: Precision,
    keep_float: Sequence[str],
    label: str,
) -> None:
    named = list(weights)
    if keep_float and precision is not Precision.FLOAT32:
        check_all_found(keep_float, [name for name, _ in named], label=label)
    try:
        manifest = write_weights(named, into=into, precision=precision, kept=lambda name: belongs_to(name, keep_float))
    except ValueError as error:
        raise ConversionFailed(
            f"{label}: {error}", hint="let the layer compute in float32, or with integers of 32 bits"
        ) from error
    # Sorted, because the converter's order of attributes differs from run to run.
    (into / MODEL_FILE).write_text(json.dumps({**model, "weightsManifest": manifest}, sort_keys=True))


def _ours(converted: TfjsGraph) -> _Model:
    from google.protobuf.json_format import MessageToDict

    weights = list(_taken_out(converted))
    model = {
        "format": "graph-model",
        "generatedBy": converted.tensorflow_version,
        "convertedBy": graph_model_converter().common.get_converted_by(),
        "signature": MessageToDict(converted.signature),
        "modelTopology": MessageToDict(converted.graph),
    }
    return model, weights


def _taken_out(converted: TfjsGraph) -> Iterator[tuple[str, NDArray[Any]]]:
    """Every constant in the order of the graph, which keeps their dtypes and shapes only."""
    for node in converted.graph.node:
        if node.op == "Const":
            value = converted.large.value(node)
            _empty(node)
            yield node.name, np.asarray(value)


def _empty(constant: Any) -> None:
    tensor = constant.attr["value"].tensor
    for field, _ in tensor.ListFields():
        if field.name not in ("dtype", "tensor_shape"):
            tensor.ClearField(field.name)


def _by_the_converter(folder: Path, scratch: Path, signature_name: str) -> _Model:
    # Of an operation that it lacks, the converter itself says no more here than that some node is not in the graph.
    optimized_graph(folder, signature_name)
    converter = graph_model_converter()
    with only_tables_read_by(signature_name, converter):
        converter.convert_tf_saved_model(
            str(folder), str(scratch), signature_def=signature_name, saved_model_tags="serve"
        )
    model = json.loads((scratch / MODEL_FILE).read_text())
    model["signature"] = named_after(folder, signature_name, model["signature"])
    return model, read_weights(scratch, model["weightsManifest"])


def _new_constants(graph: Any, known: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The values of constants that were put into the graph, which keeps their dtypes and shapes only."""
    import tensorflow as tf

    found = {}
    for node in graph.node:
        if node.op == "Const" and node.name not in known:
            found[node.name] = np.asarray(tf.make_ndarray(node.attr["value"].tensor))
            _empty(node)
    return found


def _as_tfjs_runs_it(topology: dict[str, Any], weights: dict[str, NDArray[Any]]) -> dict[str, Any]:
    from google.protobuf import json_format
    from tensorflow.core.framework import graph_pb2

    graph = json_format.ParseDict(topology, graph_pb2.GraphDef())
    take_fusions_apart(graph)
    # Once more: a convolution may have been fused with it.
    graph = take_hard_swish_apart(graph)
    weights |= _new_constants(graph, weights)
    drop_control_inputs(graph)
    widen_booleans(graph)
    count_one_hot(graph, weights)
    converted: dict[str, Any] = json_format.MessageToDict(graph)
    return converted
