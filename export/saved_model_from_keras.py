"""A Keras model as a SavedModel: named inputs and outputs, inputs checked in the graph, warmup requests beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.warmup import write_warmup_requests
from pipeline.core.errors import ModelFailed
from pipeline.core.signature import Signature, Tensors, TensorSpec

SIGNATURE_NAME = "serving_default"


def saved_model_from_keras(
    model: Any,
    *,
    into: Path,
    version: int,
    output_names: tuple[str, ...],
    model_name: str,
    warmup_samples: Tensors,
    input_checks: bool = True,
) -> Signature:
    """Write `<into>/<version>/` with one signature, `serving_default`, and return it.

    With `input_checks` the signature refuses inputs of a wrong rank or with other fixed dimensions before anything
    else: a convolution that meets them inside TensorFlow Serving aborts its whole process. `warmup_samples` hold one
    row for each warmup request. Raises ModelFailed when the model's outputs do not match `output_names`.
    """
    import keras
    import tensorflow as tf

    inputs = {name: _tensor_spec(tf, name, tensor) for name, tensor in _named_inputs(model).items()}

    def serving(**given: Any) -> Mapping[str, Any]:
        checked = {
            name: _checked(tf, name, given[name], inputs[name]) if input_checks else given[name] for name in inputs
        }
        feed = checked if len(checked) > 1 else next(iter(checked.values()))
        return _named_outputs(model(feed, training=False), output_names)

    archive = keras.export.ExportArchive()
    archive.track(model)
    function = tf.function(serving)
    concrete = function.get_concrete_function(**inputs)
    archive.add_endpoint(SIGNATURE_NAME, function)
    folder = into / str(version)
    archive.write_out(str(folder), verbose=False)
    signature = Signature(
        name=SIGNATURE_NAME,
        inputs=tuple(_spec_of(name, spec) for name, spec in sorted(inputs.items())),
        outputs=tuple(_spec_of(name, concrete.structured_outputs[name]) for name in output_names),
    )
    write_warmup_requests(
        folder,
        model_name=model_name,
        signature_name=SIGNATURE_NAME,
        input_names=signature.input_names,
        samples=warmup_samples,
    )
    return signature


def _named_inputs(model: Any) -> dict[str, Any]:
    names = [tensor.name for tensor in model.inputs]
    return dict(zip(names, model.inputs, strict=True))


def _tensor_spec(tf: Any, name: str, tensor: Any) -> Any:
    return tf.TensorSpec(tensor.shape, tf.as_dtype(tensor.dtype), name=name)


def _checked(tf: Any, name: str, tensor: Any, spec: Any) -> Any:
    # One operation that looks at dimensions only: no measurable cost, and both converters remove it.
    return tf.ensure_shape(tensor, spec.shape, name=f"{name}_shape")


def _named_outputs(answers: Any, names: tuple[str, ...]) -> dict[str, Any]:
    match answers:
        case dict():
            named = answers
        case list() | tuple() if len(answers) == len(names):
            named = dict(zip(names, answers, strict=True))
        case _:
            named = {names[0]: answers} if len(names) == 1 else {}
    if set(named) != set(names):
        raise ModelFailed(
            f"the model's outputs are {sorted(named) or type(answers).__name__}, its file says {sorted(names)}",
            hint="make `output_names` in the model file and the model's outputs the same",
        )
    return {name: named[name] for name in names}


def _spec_of(name: str, spec: Any) -> TensorSpec:
    return TensorSpec(name=name, dtype=spec.dtype.name, shape=tuple(spec.shape))
