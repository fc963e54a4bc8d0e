"""Anything that TensorFlow can trace, as a SavedModel with one signature; warmup requests beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from export.signature_of_saved_model import signatures_of_saved_model
from export.warmup import write_warmup_requests
from pipeline.core.signature import Signature, Tensors, TensorSpec

SIGNATURE_NAME = "serving_default"


def saved_model_from_call(
    call: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    *,
    tracked: Any,
    inputs: Mapping[str, Any],
    into: Path,
    model_name: str,
    warmup_samples: Tensors,
    input_checks: bool,
) -> Signature:
    """Write the SavedModel `into`, and return its signature as the written file has it, in the order of `call`'s own.

    `call` takes tensors by the names in `inputs` (their `tf.TensorSpec`s) and gives tensors by name; `tracked` is the
    model whose variables it uses. With `input_checks` the signature refuses inputs of a wrong rank or with other fixed
    dimensions before anything else: a convolution that meets them inside TensorFlow Serving aborts its whole process.
    Without `warmup_samples` there are no warmup requests.
    """
    import keras
    import tensorflow as tf

    output_names: list[str] = []

    def serving(**given: Any) -> Mapping[str, Any]:
        checked = {name: _checked(given[name], inputs[name]) if input_checks else given[name] for name in inputs}
        answers = call(checked)
        output_names[:] = answers
        return dict(answers)

    # AutoGraph would wrap what is raised here, and Keras has converted its own layers already.
    function = tf.function(serving, autograph=False)
    function.get_concrete_function(**inputs)
    archive = keras.export.ExportArchive()
    archive.track(tracked)
    archive.add_endpoint(SIGNATURE_NAME, function)
    archive.write_out(str(into), verbose=False)
    written = signatures_of_saved_model(into)[SIGNATURE_NAME]
    signature = Signature(
        name=SIGNATURE_NAME,
        inputs=_ordered(written.inputs, tuple(inputs)),
        outputs=_ordered(written.outputs, output_names),
    )
    if warmup_samples:
        write_warmup_requests(
            into,
            model_name=model_name,
            signature_name=SIGNATURE_NAME,
            input_names=signature.input_names,
            samples=warmup_samples,
            batch_size=signature.fixed_batch or 1,
        )
    return signature


def _checked(tensor: Any, spec: Any) -> Any:
    import tensorflow as tf

    # One operation that looks at dimensions only. Its name is in the message that a client gets.
    return tf.ensure_shape(tensor, spec.shape, name=f"{spec.name}_shape")


def _ordered(specs: Sequence[TensorSpec], names: Sequence[str]) -> tuple[TensorSpec, ...]:
    by_name = {spec.name: spec for spec in specs}
    return tuple(by_name[name] for name in names)
