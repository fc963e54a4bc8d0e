"""A SavedModel as a TF.js graph model, with weights in one of three precisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from export.tensorflowjs_import import graph_model_converter
from pipeline.core.artifact import Precision
from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Signature

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
    try:
        graph_model_converter().convert_tf_saved_model(
            str(saved_model),
            str(into),
            signature_def=signature.name,
            saved_model_tags="serve",
            quantization_dtype_map=_QUANTIZATION[precision],
        )
    except Exception as error:
        raise ConversionFailed(
            f"{label}: TF.js's converter refused the model: {str(error).strip() or type(error).__name__}",
            hint="the layer that holds the operation named has to be written without it for TF.js",
        ) from error
    model = json.loads((into / MODEL_FILE).read_text())
    _check_signature(model, signature, label)
    _pass_shapes_on(model)
    (into / MODEL_FILE).write_text(json.dumps(model))


def _pass_shapes_on(model: dict[str, Any]) -> None:
    """Make the shape checks of the serving signature pass their tensor on unseen.

    TF.js 4.22 lists EnsureShape, but takes the shape for a second input and fails for want of it. It checks the shapes
    of a model's inputs itself, before the first operation.
    """
    for node in model["modelTopology"]["node"]:
        if node["op"] == "EnsureShape":
            node["op"] = "Identity"
            node["attr"].pop("shape", None)


def _check_signature(model: dict[str, Any], signature: Signature, label: str) -> None:
    found = model["signature"]
    got = {kind: sorted(found.get(kind, {})) for kind in ("inputs", "outputs")}
    want = {"inputs": sorted(signature.input_names), "outputs": sorted(signature.output_names)}
    if got != want:
        raise ConversionFailed(
            f"{label}: the converted model has the signature {got}, the SavedModel {want}",
            hint="inputs or outputs that the model does not use were dropped: remove them from the model",
        )
