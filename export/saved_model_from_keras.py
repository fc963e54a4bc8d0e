"""A Keras model as a SavedModel: named inputs and outputs, inputs checked in the graph, warmup requests beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.saved_model_from_call import saved_model_from_call
from pipeline.core.errors import ModelFailed
from pipeline.core.signature import Signature, Tensors


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
    """Write `<into>/<version>/` with one signature, `serving_default`, and return it as the written file has it.

    `output_names` name the outputs of a model that returns one tensor or several in order; those of a model that
    returns a dictionary are its keys. With `input_checks` the signature refuses inputs of a wrong rank or with other
    fixed dimensions before anything else: a convolution that meets them inside TensorFlow Serving aborts its whole
    process. `warmup_samples` hold one row for each warmup request. Raises ModelFailed when the model was not built of
    named inputs, or its outputs do not match `output_names`.
    """
    import keras

    inputs = _input_specs(model)
    # What the model was built with: one tensor, a list, or a dictionary of any names.
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input

    def call(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        feed = keras.tree.map_structure(lambda tensor: tensors[tensor.name], structure)
        return _named(model(feed, training=False), output_names)

    return saved_model_from_call(
        call,
        tracked=model,
        inputs=inputs,
        into=into / str(version),
        model_name=model_name,
        warmup_samples=warmup_samples,
        input_checks=input_checks,
    )


def _input_specs(model: Any) -> dict[str, Any]:
    import tensorflow as tf

    tensors = getattr(model, "inputs", None)
    if not tensors:
        raise ModelFailed(
            f"the model `{model.name}` does not say what its inputs are",
            hint="build it from keras.Input(shape=..., name=...), or give a Sequential model an Input layer",
        )
    names = [tensor.name for tensor in tensors]
    if len(set(names)) != len(names):
        raise ModelFailed(f"the model's inputs do not have names of their own: {names}", hint="name each keras.Input")
    for name in names:
        if not (name.isidentifier() and name.isascii()):
            raise ModelFailed(
                f"an input is called `{name}`, which TensorFlow would change on its way",
                hint="name the keras.Input with letters, digits and underscores",
            )
    return {tensor.name: tf.TensorSpec(tensor.shape, tf.as_dtype(tensor.dtype), name=tensor.name) for tensor in tensors}


def _named(answers: Any, names: tuple[str, ...]) -> dict[str, Any]:
    match answers:
        case dict():
            named = answers
        case list() | tuple():
            named = dict(zip(names, answers, strict=False)) if len(answers) == len(names) else {}
        case _:
            named = {names[0]: answers} if len(names) == 1 else {}
    if set(named) != set(names):
        found = sorted(named) if isinstance(answers, dict) else f"{_count(answers)} without names"
        raise ModelFailed(
            f"the model's outputs are {found}, its file says {sorted(names)}",
            hint="make `output_names` in the model file and the model's outputs the same",
        )
    return {name: named[name] for name in names}


def _count(answers: Any) -> int:
    return len(answers) if isinstance(answers, list | tuple) else 1
