"""A SavedModel as a TF.js graph model, with weights in one of three precisions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.kept_signature import check_kept
from export.simplified_saved_model import simplified
from export.tensorflowjs_import import graph_model_converter
from pipeline.core.artifact import Precision
from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Signature, TensorSpec

MODEL_FILE = "model.json"
# TF.js's own quantization stores weights small and widens them to float32 when it loads them. "*" means all weights.
_QUANTIZATION = {
    Precision.FLOAT32: None,
    Precision.FLOAT16: {"float16": "*"},
    Precision.UINT8: {"uint8": "*"},
}


def tfjs_from_saved_model(saved_model: Path, *, into: Path, signature: Signature, precision: Precision) -> None:
    """Convert one signature to `<into>/model.json` and weight shards beside it.

    Raises ConversionFailed for operations that TF.js does not have, for a precision that it does not have, and when
    what was written has another signature.
    """
    label = f"{saved_model.parent.name} tfjs {precision}"
    if precision not in _QUANTIZATION:
        raise ConversionFailed(
            f"{label}: TF.js stores weights as {', '.join(_QUANTIZATION)}", hint="correct convert.tfjs in tripoint.toml"
        )
    with simplified(saved_model, scratch=into) as folder:
        try:
            graph_model_converter().convert_tf_saved_model(
                str(folder),
                str(into),
                signature_def=signature.name,
                saved_model_tags="serve",
                quantization_dtype_map=_QUANTIZATION[precision],
            )
        except Exception as error:  # the converter raises plain Exception, too
            raise ConversionFailed(
                f"{label}: TF.js's converter refused the model: {' '.join(str(error).split()) or type(error).__name__}",
                hint="the layer that holds the operation named has to be written without it for TF.js",
            ) from error
    model = json.loads((into / MODEL_FILE).read_text())
    check_kept(signature_of_tfjs(model, signature.name), signature, label=label)
    # The converter's order of attributes differs from run to run; sorted, the same model gives the same file.
    (into / MODEL_FILE).write_text(json.dumps(model, sort_keys=True))


def signature_of_tfjs(model: Mapping[str, Any], name: str) -> Signature:
    """The signature block of a graph model's `model.json`, which names none, under the given name."""
    return Signature(
        name=name, inputs=_specs(model["signature"], "inputs"), outputs=_specs(model["signature"], "outputs")
    )


def _specs(signature: Mapping[str, Any], kind: str) -> tuple[TensorSpec, ...]:
    import tensorflow as tf
    from tensorflow.core.framework import types_pb2

    return tuple(
        TensorSpec(
            name=name,
            dtype=tf.as_dtype(types_pb2.DataType.Value(tensor["dtype"])).name,
            shape=tuple(None if int(size["size"]) < 0 else int(size["size"]) for size in _sizes(tensor)),
        )
        for name, tensor in signature.get(kind, {}).items()
    )


def _sizes(tensor: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
    # A scalar's shape is written without dimensions.
    sizes: Sequence[Mapping[str, str]] = tensor["tensorShape"].get("dim", ())
    return sizes
