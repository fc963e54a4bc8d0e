"""A SavedModel as a TFLite file, in the precisions that run on every TFLite runtime in the field."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from export.kept_signature import check_kept
from export.simplified_saved_model import simplified
from export.tflite_signature import signature_of_tflite
from pipeline.core.artifact import Precision
from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Signature, Tensors, batches, sample_count

_REASONS_SHOWN = 2


def tflite_from_saved_model(
    saved_model: Path, *, into: Path, signature: Signature, precision: Precision, representative: Tensors
) -> None:
    """Convert one signature to the file `into`, with built-in operations only and inputs and outputs left as they are.

    `representative` are real samples, from which full integer quantization takes its ranges; the other precisions do
    not look at them. Raises ConversionFailed when the converter refuses, or what it wrote has another signature.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import ConverterError

    label = f"{saved_model.parent.name} tflite {precision}"
    with simplified(saved_model, scratch=into.parent) as folder:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[signature.name])
        _set_precision(tf, converter, precision, signature.name, representative)
        try:
            with warnings.catch_warnings():
                # The quantizer itself still uses it; the warning is not for us.
                warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
                content = converter.convert()
        except (ConverterError, ValueError, RuntimeError, tf.errors.OpError) as error:
            gist = _gist(str(error))
            raise ConversionFailed(
                f"{label}: TFLite's converter refused the model: {gist}", hint=_hint(gist)
            ) from error
    check_kept(signature_of_tflite(content, signature.name, label=label), signature, label=label)
    into.write_bytes(content)


def _set_precision(tf: Any, converter: Any, precision: Precision, key: str, representative: Tensors) -> None:
    match precision:
        case Precision.FLOAT32:
            pass
        case Precision.FLOAT16:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        case Precision.DYNAMIC:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            # Per-channel weights of dense layers need FULLY_CONNECTED version 12, which tflite-runtime 2.14 lacks.
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001  # no other
        case Precision.INT8:
            if sample_count(representative) == 0:
                raise ConversionFailed(
                    "full integer quantization was given no representative samples",
                    hint="raise convert.representative_samples",
                )
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            # Not TFLITE_BUILTINS, which would leave an operation without integer kernel in float and say nothing.
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: _calibration(key, representative)
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001  # as above
        case Precision.UINT8:
            raise ConversionFailed(
                "uint8 is a precision of TF.js weights, not of TFLite", hint="int8 is TFLite's full integer precision"
            )
        case _:
            assert_never(precision)


def _calibration(key: str, representative: Tensors) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    for sample in batches(representative, 1):
        yield key, {name: np.ascontiguousarray(array) for name, array in sample.items()}


def _gist(text: str) -> str:
    """The reasons that MLIR gives, each with the place in the model, without its chains of locations."""
    reasons = []
    for line in text.splitlines():
        located = re.search(r"loc\(.*?\"(?P<place>[^\"@]+)@.*\)\): (?P<reason>.+)", line)
        if located:
            reasons.append(f"{located['reason'].strip()} (at {located['place']})")
    return "; ".join(list(dict.fromkeys(reasons))[:_REASONS_SHOWN]) or text.strip().split("\n", 1)[0]


def _hint(gist: str) -> str:
    if "TensorList" in gist:
        return "recurrent layers with a varying batch do not convert to TFLite's own operations; give them unroll=True"
    return "the layer that holds the operation named has to be written without it for TFLite"
