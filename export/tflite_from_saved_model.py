"""A SavedModel as a TFLite file, in the precisions that run on every TFLite runtime in the field."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from export.kept_signature import check_kept
from export.lowered_saved_model import Lowered, Used, lowered, lowered_when_refused, refused_in
from export.one_sample import ONE_SAMPLE, for_one_sample
from export.small_floats import IN_TFLITE, NO_SMALL_FLOATS
from export.tflite_beyond_halves import kept_beyond_halves
from export.tflite_converter import tflite_converter
from export.tflite_dynamic_scales import scales_told_apart
from export.tflite_halves import unfolded_halves_widened
from export.tflite_integer_faults import Mended, may_have_integer_faults, mended
from export.tflite_kept_float import SELECTIVE_PRECISIONS, quantized_but
from export.tflite_one_hot import one_hots_in_scale
from export.tflite_signature import signature_of_tflite
from export.tflite_transposed import transposed_weights_widened
from pipeline.core.artifact import CALIBRATED_PRECISIONS, Format, Precision
from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Signature, Tensors, TensorSpec, batches

_REASONS_SHOWN = 2
_WHERE = "`tflite` under [models.NAME] in tripoint.toml"
# More than one: what a loop over the samples hands on from one to the next would else never be seen but empty.
_ROWS_OF_A_LOOP = 8
_LOOPS = frozenset({"While", "StatelessWhile"})
# What the converter says of a list whose elements have the size of the batch.
_BATCH_IS_OPEN = "element_shape to be static"


def tflite_from_saved_model(
    saved_model: Path,
    *,
    into: Path,
    signature: Signature,
    precision: Precision,
    representative: Tensors,
    keep_float: Sequence[str] = (),
    lowering: bool = True,
    model_name: str | None = None,
) -> tuple[Used, ...]:
    """Convert one signature to the file `into`, with built-in operations only.

    Inputs and outputs are left as they are; int8-io alone makes int8 of those that are float32. `representative` are
    real samples, from which integer quantization takes its ranges, and `keep_float` the layers that int8 and int8-io
    leave in float; the other precisions take no notice of it. Messages call the model `model_name`. Returns the
    lowerings that the conversion took. Raises ConversionFailed when the converter refuses, a layer is not there, or
    what was written has another signature.
    """
    import tensorflow as tf

    label = f"{model_name or saved_model.parent.name} tflite {precision}"
    if precision in CALIBRATED_PRECISIONS:
        _check_calibrated_text(signature, label)
    functions = _functions(saved_model) if precision in CALIBRATED_PRECISIONS else []
    has_loop = any(_has_loop(function) for function in functions)
    if has_loop and precision not in SELECTIVE_PRECISIONS:
        raise ConversionFailed(
            f"{label}: TensorFlow's quantizer for {precision} takes no model with a loop",
            hint=f"leave {precision} out ({_WHERE}), or write the loop out: unroll=True",
        )
    # A loop is calibrated apart, too: its file has to be changed in between. So is what integers get wrong: it is found
    # by the ranges.
    apart = len(keep_float) > 0 or (lowering and any(may_have_integer_faults(function) for function in functions))
    selective = has_loop or (apart and precision in SELECTIVE_PRECISIONS)

    def attempt(folder: Path, refused: frozenset[str], rows: int) -> tuple[bytes, tuple[Used, ...]]:
        with lowered(folder, scratch=into.parent, target=Format.TFLITE, lowering=lowering, refused=refused) as source:
            converter = tflite_converter(source.folder, signature.name, lowering=lowering)
            _set_precision(tf, converter, precision, partial(_calibration, signature.name, representative, rows))
            converter._experimental_calibrate_only = selective  # noqa: SLF001  # no other way to quantize selectively
            with warnings.catch_warnings():
                # The quantizer itself still uses it; the warning is not for us.
                warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
                content = converter.convert()
                if not selective:
                    return _with_large_halves(content, source, signature.name, precision, lowering=lowering)
                whole = mended(content) if lowering else Mended(content=content)
                content = quantized_but(
                    whole.content, keep_float, precision=precision, label=label, operations=whole.in_float
                )
            return content, (*source.used, *whole.used)

    rows = _ROWS_OF_A_LOOP if has_loop else 1
    try:
        content, used = _converted(
            partial(attempt, saved_model, rows=signature.fixed_batch or rows), label, lowering=lowering
        )
    except ConversionFailed as refusal:
        if not (lowering and _BATCH_IS_OPEN in refusal.problem and all(spec.batched for spec in signature.inputs)):
            raise
        with for_one_sample(saved_model, signature, scratch=into.parent) as single:
            content, used = _converted(partial(attempt, single, rows=1), label, lowering=lowering)
        used = (*used, ONE_SAMPLE)
    if precision is Precision.DYNAMIC:
        content = scales_told_apart(transposed_weights_widened(content))
    elif precision is Precision.FLOAT16:
        content = unfolded_halves_widened(content)
    elif precision in CALIBRATED_PRECISIONS:
        content = one_hots_in_scale(content)
    want = _in_integers(signature) if precision is Precision.INT8_IO else signature
    check_kept(signature_of_tflite(content, signature.name, label=label), want, label=label)
    into.write_bytes(content)
    return used


def _converted(
    attempt: Callable[[frozenset[str]], tuple[bytes, tuple[Used, ...]]], label: str, *, lowering: bool
) -> tuple[bytes, tuple[Used, ...]]:
    """What the attempt gives; after a refusal, what another gives that knows of it, as long as that helps."""
    import tensorflow as tf
    from tensorflow.lite.python.convert import ConverterError

    another_way = lowered_when_refused(Format.TFLITE) if lowering else frozenset()
    refused: frozenset[str] = frozenset()
    while True:
        try:
            return attempt(refused)
        except (ConverterError, ValueError, RuntimeError, tf.errors.OpError) as error:
            news = (refused_in(str(error)) & another_way) - refused
            if not news:
                gist = _gist(str(error))
                raise ConversionFailed(
                    f"{label}: TFLite's converter refused the model{gist and ': '}{gist}", hint=_hint(gist)
                ) from error
            refused |= news


def _functions(saved_model: Path) -> list[Any]:
    """All FunctionDefs of a SavedModel."""
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
    return [function for graph in content.meta_graphs for function in graph.graph_def.library.function]


def _has_loop(function: Any) -> bool:
    return any(node.op in _LOOPS for node in function.node_def)


def _with_large_halves(
    content: bytes, source: Lowered, signature_name: str, precision: Precision, *, lowering: bool
) -> tuple[bytes, tuple[Used, ...]]:
    """The file with what no half float holds in float32, where its constants are halves."""
    if precision is not Precision.FLOAT16 or not lowering:
        return content, source.used
    exact = tflite_converter(source.folder, signature_name).convert
    content, nodes = kept_beyond_halves(content, exact, source.folder)
    found = Used(lowering="halves", operation="a constant that no half float holds", becomes="float32", nodes=nodes)
    return content, (*source.used, *([found] if nodes else []))


def _in_integers(signature: Signature) -> Signature:
    def integer(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        return tuple(replace(spec, dtype="int8") if spec.dtype == "float32" else spec for spec in specs)

    return replace(signature, inputs=integer(signature.inputs), outputs=integer(signature.outputs))


def _set_precision(
    tf: Any, converter: Any, precision: Precision, calibration: Callable[[], Iterator[tuple[str, Tensors]]]
) -> None:
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
        case Precision.INT8 | Precision.INT8_IO | Precision.INT16X8:
            if next(calibration(), None) is None:
                raise ConversionFailed(
                    "full integer quantization was given no representative samples",
                    hint="raise convert.representative_samples",
                )
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            # Not TFLITE_BUILTINS, which would leave an operation without integer kernel in float and say nothing.
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
                if precision is Precision.INT16X8
                else tf.lite.OpsSet.TFLITE_BUILTINS_INT8
            ]
            converter.representative_dataset = calibration
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001  # as above
            if precision is Precision.INT8_IO:
                converter.inference_input_type = converter.inference_output_type = tf.int8
        case Precision.UINT8 | Precision.UINT16:
            raise ConversionFailed(
                f"{precision} is a precision of TF.js weights, not of TFLite",
                hint="int8 is TFLite's full integer precision",
            )
        case _:
            assert_never(precision)


def _calibration(name: str, representative: Tensors, rows: int) -> Iterator[tuple[str, Tensors]]:
    """The signature's name with so many samples at a time."""
    for sample in batches(representative, rows):
        yield name, {given: _as_the_quantizer_reads(array) for given, array in sample.items()}


def _check_calibrated_text(signature: Signature, label: str) -> None:
    """Raise ConversionFailed for text that the quantizer would misread; with TensorFlow 2.21 its process may end."""
    for spec in signature.inputs:
        sizes = (signature.fixed_batch or 1, *spec.shape[1:])
        if spec.dtype == "string" and any(size != 1 for size in sizes):
            raise ConversionFailed(
                f"{label}: TFLite's quantizer reads a text input as one text, and `{spec.name}` is of shape "
                f"{list(spec.shape[1:])}",
                hint=f"leave integer precisions out ({_WHERE}), or give each text its own input",
            )


def _as_the_quantizer_reads(array: NDArray[Any]) -> NDArray[Any]:
    # It takes the array's own memory for the one text, which in an array of Python's objects are addresses.
    return np.ascontiguousarray(array.astype(np.bytes_) if array.dtype.kind == "O" else array)


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
        return "a loop collects tensors whose size it does not know beforehand: give them a fixed size, or unroll=True"
    if "16x8-bit not yet supported" in gist:
        return f"int16x8 has fewer operations than int8: leave it out ({_WHERE})"
    if "recorded during calibration" in gist:
        return f"TensorFlow's quantizer for int16x8 takes no model with integer inputs: leave int16x8 out ({_WHERE})"
    if IN_TFLITE in gist:
        return NO_SMALL_FLOATS
    if not gist:
        return "it gave no reason; what it printed is in `logs` in the model's folder of the store (`.tripoint`)"
    return "the layer that holds the operation named has to be written without it for TFLite"
