"""A SavedModel as a TF.js graph model, with weights in one of four precisions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.kept_signature import check_kept
from export.simplified_saved_model import simplified
from export.tensorflowjs_import import graph_model_converter
from export.tfjs_booleans import widen_booleans
from export.tfjs_control_inputs import drop_control_inputs
from export.tfjs_fused import take_fusions_apart
from export.tfjs_kept_float import quantize_but
from export.tfjs_signature import named_after, signature_of_tfjs
from pipeline.core.artifact import Precision
from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Signature

MODEL_FILE = "model.json"
# TF.js's own quantization stores weights small and widens them to float32 when it loads them. "*" means all weights.
_QUANTIZATION = {
    Precision.FLOAT32: None,
    Precision.FLOAT16: {"float16": "*"},
    Precision.UINT16: {"uint16": "*"},
    Precision.UINT8: {"uint8": "*"},
}


def tfjs_from_saved_model(
    saved_model: Path, *, into: Path, signature: Signature, precision: Precision, keep_float: Sequence[str] = ()
) -> None:
    """Convert one signature to `<into>/model.json` and weight shards beside it.

    `keep_float` names layers whose weights stay float32. Raises ConversionFailed for operations that TF.js does not
    have, for a precision that it does not have, a layer that is not there, and when what was written has another
    signature.
    """
    label = f"{saved_model.parent.name} tfjs {precision}"
    if precision not in _QUANTIZATION:
        raise ConversionFailed(
            f"{label}: TF.js stores weights as {', '.join(_QUANTIZATION)}", hint="correct convert.tfjs in tripoint.toml"
        )
    selective = len(keep_float) > 0 and precision is not Precision.FLOAT32
    with simplified(saved_model, scratch=into) as folder:
        try:
            graph_model_converter().convert_tf_saved_model(
                str(folder),
                str(into),
                signature_def=signature.name,
                saved_model_tags="serve",
                quantization_dtype_map=None if selective else _QUANTIZATION[precision],
            )
        except Exception as error:  # the converter raises plain Exception, too
            raise ConversionFailed(
                f"{label}: TF.js's converter refused the model: {' '.join(str(error).split()) or type(error).__name__}",
                hint="the layer that holds the operation named has to be written without it for TF.js",
            ) from error
        model = json.loads((into / MODEL_FILE).read_text())
        model["signature"] = named_after(folder, signature.name, model["signature"])
        model["modelTopology"] = _as_tfjs_runs_it(model["modelTopology"])
    if selective:
        model["weightsManifest"] = quantize_but(
            model["weightsManifest"], keep_float, dtype=precision, folder=into, label=label
        )
    check_kept(signature_of_tfjs(model["signature"], signature.name), signature, label=label)
    # The converter's order of attributes differs from run to run; sorted, the same model gives the same file.
    (into / MODEL_FILE).write_text(json.dumps(model, sort_keys=True))


def _as_tfjs_runs_it(topology: dict[str, Any]) -> dict[str, Any]:
    from google.protobuf import json_format
    from tensorflow.core.framework import graph_pb2

    graph = json_format.ParseDict(topology, graph_pb2.GraphDef())
    take_fusions_apart(graph)
    drop_control_inputs(graph)
    widen_booleans(graph)
    converted: dict[str, Any] = json_format.MessageToDict(graph)
    return converted
