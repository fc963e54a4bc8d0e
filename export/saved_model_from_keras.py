"""A Keras model as a SavedModel: named inputs and outputs, inputs checked in the graph, warmup requests beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.keras_batch import open_sizes
from export.saved_model_from_call import saved_model_from_call
from pipeline.core.errors import ModelFailed
from pipeline.core.signature import Signature, Tensors, TensorSpec


def saved_model_from_keras(
    model: Any,
    *,
    into: Path,
    version: int,
    output_names: tuple[str, ...],
    model_name: str,
    warmup_samples: Tensors,
    inputs: Sequence[TensorSpec] = (),
    input_checks: bool = True,
) -> Signature:
    """Write `<into>/<version>/` with one signature, `serving_default`, and return it as the written file has it.

    `output_names` name the outputs of a model that returns one tensor or several in order; those of a model that
    returns a dictionary are its keys. `inputs` are those of a subclassed model, which does not say what it takes: it is
    called with the tensor if there is one, else with a dictionary by name. With `input_checks` the signature refuses
    inputs of a wrong rank or with other fixed dimensions before anything else: a convolution that meets them inside
    TensorFlow Serving aborts its whole process. `warmup_samples` hold one row for each warmup request. Raises
    ModelFailed when the model was not built of named inputs, or its outputs do not match `output_names`.
    """
    import keras

    specs = _input_specs(model, inputs)
    structure = structure_of_inputs(model, tuple(specs))

    def call(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        feed = keras.tree.map_structure(tensors.__getitem__, structure)
        return named_outputs(model(feed, training=False), output_names)

    return saved_model_from_call(
        call,
        tracked=model,
        inputs=specs,
        into=into / str(version),
        model_name=model_name,
        warmup_samples=warmup_samples,
        input_checks=input_checks,
    )


def structure_of_inputs(model: Any, names: tuple[str, ...]) -> Any:
    """What the model is called with, names in the place of tensors: one, a list, or a dictionary of any keys."""
    import keras

    if not getattr(model, "inputs", None):
        return names[0] if len(names) == 1 else {name: name for name in names}
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.tree.map_structure(lambda tensor: tensor.name, structure)


def _input_specs(model: Any, told: Sequence[TensorSpec]) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    tensors = getattr(model, "inputs", None) or [
        keras.KerasTensor(shape=spec.shape, dtype=spec.dtype, name=spec.name) for spec in told
    ]
    if not tensors:
        raise ModelFailed(
            f"the model `{model.name}` does not say what its inputs are",
            hint="build it from keras.Input(shape=..., name=...), give a Sequential model an Input layer, or say so in "
            "`inputs` of the model file's ModelSpec",
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
    return {
        tensor.name: tf.TensorSpec(open_sizes(model, tuple(tensor.shape)), tf.as_dtype(tensor.dtype), name=tensor.name)
        for tensor in tensors
    }


def named_outputs(answers: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """What a model returned, by output name. Raises ModelFailed when it does not go together with the names."""
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
