"""A Keras model as a SavedModel: named inputs and outputs, inputs checked in the graph, warmup requests beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.signature_of_saved_model import signatures_of_saved_model
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
    """Write `<into>/<version>/` with one signature, `serving_default`, and return it as the written file has it.

    `output_names` name the outputs of a model that returns one tensor or several in order; those of a model that
    returns a dictionary are its keys. With `input_checks` the signature refuses inputs of a wrong rank or with other
    fixed dimensions before anything else: a convolution that meets them inside TensorFlow Serving aborts its whole
    process. `warmup_samples` hold one row for each warmup request. Raises ModelFailed when the model was not built of
    named inputs, or its outputs do not match `output_names`.
    """
    import keras
    import tensorflow as tf

    inputs = _input_specs(model)
    # What the model was built with: one tensor, a list, or a dictionary of any names.
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input

    def serving(**given: Any) -> Mapping[str, Any]:
        checked = {name: _checked(given[name], inputs[name]) if input_checks else given[name] for name in inputs}
        feed = keras.tree.map_structure(lambda tensor: checked[tensor.name], structure)
        return _named(model(feed, training=False), output_names)

    # AutoGraph would wrap what is raised here, and Keras has converted its own layers already.
    function = tf.function(serving, autograph=False)
    function.get_concrete_function(**inputs)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(SIGNATURE_NAME, function)
    folder = into / str(version)
    archive.write_out(str(folder), verbose=False)
    written = signatures_of_saved_model(folder)[SIGNATURE_NAME]
    signature = Signature(
        name=SIGNATURE_NAME,
        inputs=_ordered(written.inputs, tuple(inputs)),
        outputs=_ordered(written.outputs, output_names),
    )
    write_warmup_requests(
        folder,
        model_name=model_name,
        signature_name=SIGNATURE_NAME,
        input_names=signature.input_names,
        samples=warmup_samples,
    )
    return signature


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


def _checked(tensor: Any, spec: Any) -> Any:
    import tensorflow as tf

    # One operation that looks at dimensions only. Its name is in the message that a client gets.
    return tf.ensure_shape(tensor, spec.shape, name=f"{spec.name}_shape")


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


def _ordered(specs: Sequence[TensorSpec], names: Sequence[str]) -> tuple[TensorSpec, ...]:
    by_name = {spec.name: spec for spec in specs}
    return tuple(by_name[name] for name in names)
