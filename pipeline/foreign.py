"""Models that were made elsewhere, loaded: what each takes, what it answers, and how it becomes a SavedModel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from pipeline.adoption import Adopted
from pipeline.core.errors import ModelFailed, UsageError
from pipeline.core.known_values import KnownValues
from pipeline.core.signature import Signature, Tensors, TensorSpec
from pipeline.core.wording import quoted
from pipeline.foreign_keras import KerasFound, built_by, from_h5, from_keras_file
from pipeline.saved_model_parts import copy_saved_model
from pipeline.unanswered import reason_of

_USUAL_SIGNATURE = "serving_default"


@dataclass(frozen=True, kw_only=True, eq=False)
class Foreign:
    """A loaded model.

    `answer` takes one batch by input name. `write` makes the SavedModel folder and returns its signature; it is given
    the folder, samples to warm up with, and whether the signature is to check its inputs. `notes` are sentences that a
    report should show. `known_values` looks at the model's operations for what its inputs take; where they cannot be
    looked at it gives a sentence that says so, too.
    """

    runtime: str
    version: str
    inputs: tuple[TensorSpec, ...]
    answer: Callable[[Tensors], dict[str, NDArray[Any]]]
    write: Callable[[Path, Tensors, bool], Signature]
    known_values: Callable[[], tuple[Mapping[str, KnownValues], str | None]]
    notes: tuple[str, ...] = ()
    keras_model: Any | None = None


def load(adopted: Adopted, *, samples: Sequence[TensorSpec] = ()) -> Foreign:
    """Load the source. Raises ModelFailed when it does not load, or takes or gives what nobody could compare.

    `samples` are what the user's own look like, for models that do not say what they take.
    """
    match adopted.kind:
        case "keras":
            return foreign_of_keras(adopted, from_keras_file(adopted), samples)
        case "h5":
            return foreign_of_keras(adopted, from_h5(adopted), samples)
        case "builder":
            return foreign_of_keras(adopted, built_by(adopted), samples)
        case "saved_model":
            return _saved_model(adopted)
        case _:
            assert_never(adopted.kind)


def foreign_of_keras(adopted: Adopted, found: KerasFound, samples: Sequence[TensorSpec]) -> Foreign:
    """A Keras model in memory as a model to be taken in. Raises UsageError when a signature of it was asked for."""
    import tensorflow as tf

    from export.keras_interface import interface_of
    from export.left_in_training import left_in_training
    from export.saved_model_from_call import saved_model_from_call

    if adopted.signature is not None:
        raise UsageError(
            f"--signature {adopted.signature}: a Keras model has no signatures", hint="leave it out; a SavedModel has"
        )
    interface = interface_of(found.model, samples=samples)

    # As `predict` runs it. Layer by layer some answer otherwise: Keras's Resizing rounds what was given as integers.
    traced = tf.function(interface.call, autograph=False, reduce_retracing=True)

    def answer(batch: Tensors) -> dict[str, NDArray[Any]]:
        tensors = {spec.name: tf.constant(batch[spec.name], dtype=spec.dtype) for spec in interface.inputs}
        return {name: _as_array(tensor) for name, tensor in traced(tensors).items()}

    specs = {spec.name: tf.TensorSpec(spec.shape, tf.as_dtype(spec.dtype), name=spec.name) for spec in interface.inputs}

    def of_names(**given: Any) -> dict[str, Any]:
        return interface.call(given)

    def known_values() -> tuple[Mapping[str, KnownValues], str | None]:
        return _known_values(lambda: tf.function(of_names, autograph=False).get_concrete_function(**specs))

    def write(folder: Path, warmup: Tensors, input_checks: bool) -> Signature:  # noqa: FBT001  # see Foreign
        return saved_model_from_call(
            interface.call,
            tracked=found.model,
            inputs=specs,
            into=folder,
            model_name=adopted.name,
            warmup_samples=warmup,
            input_checks=input_checks,
        )

    notes = [f"Input `{own}` is called `{name}` in the signature." for name, own in interface.renamed.items()]
    in_training = left_in_training(found.model)
    if in_training:
        notes.append(_in_training(in_training))
    if interface.assumed:
        named = quoted(interface.assumed)
        notes.append(f"The model does not say of which type {named} is: float32 was assumed.")
    return Foreign(
        runtime=found.runtime,
        version=found.version,
        inputs=interface.inputs,
        answer=answer,
        write=write,
        known_values=known_values,
        notes=(*found.notes, *notes),
        keras_model=found.model,
    )


def _in_training(layers: Sequence[str]) -> str:
    named = quoted(layers)
    return (
        f"Called with training=True: {named}. So the model is random by design, or goes by the batch, when called "
        "as model(x) and as model.export() writes it. predict() turns that off, and so it is off here, in what is "
        "compared and in what is shipped; to ship it on, adopt what model.export() wrote."
    )


def _saved_model(adopted: Adopted) -> Foreign:
    import tensorflow as tf

    folder = Path(adopted.source)
    signature, notes = _chosen_signature(adopted, folder)
    try:
        loaded = tf.saved_model.load(str(folder))
        loaded.signatures[signature.name]
    except Exception as error:
        raise ModelFailed(
            f"{folder} does not load: {type(error).__name__}: {reason_of(error)}",
            hint="it is damaged, or needs operations that this TensorFlow lacks: copy or export it again",
        ) from error

    def answer(batch: Tensors) -> dict[str, NDArray[Any]]:
        feed = {spec.name: tf.constant(batch[spec.name], dtype=spec.dtype) for spec in signature.inputs}
        # By way of what was loaded, which has to stay: a function alone does not keep its variables.
        return {name: _as_array(tensor) for name, tensor in loaded.signatures[signature.name](**feed).items()}

    def write(into: Path, warmup: Tensors, input_checks: bool) -> Signature:  # noqa: FBT001  # see Foreign
        # Checks in the graph, or warmup requests that its own version never saw, would make it another model.
        del warmup, input_checks
        copy_saved_model(folder, into)
        return signature

    return Foreign(
        runtime="TensorFlow (the SavedModel itself)",
        version=version("tensorflow"),
        inputs=signature.inputs,
        answer=answer,
        write=write,
        known_values=lambda: _known_values(lambda: loaded.signatures[signature.name]),
        notes=notes,
    )


def _known_values(function: Callable[[], Any]) -> tuple[Mapping[str, KnownValues], str | None]:
    from export.known_inputs import known_values

    try:
        return known_values(function()), None
    except Exception as error:  # noqa: BLE001  # tracing raises whatever the model's code does; the report says it
        return {}, (
            "The model's operations could not be looked at for what its inputs take "
            f"({type(error).__name__}: {_first_line(error)}): values were made up from their types alone."
        )


def _chosen_signature(adopted: Adopted, folder: Path) -> tuple[Signature, tuple[str, ...]]:
    from export.signature_of_saved_model import definitions_in, signature_from

    every = definitions_in(folder)

    def chosen(name: str) -> Signature:
        # Only this one: another that nobody could compare is not asked for.
        return signature_from(every[name], folder, name)

    listed = "; ".join(_shown(name, definition) for name, definition in every.items())
    if not every:
        raise ModelFailed(
            f"{folder} has no signatures, so that nobody can call it by names",
            hint="export it with `model.export(path)`, or with tf.saved_model.save(model, path, signatures=...)",
        )
    if adopted.signature is not None:
        if adopted.signature not in every:
            raise UsageError(
                f"--signature {adopted.signature}: {folder} has no such signature", hint=f"it has {listed}"
            )
        return chosen(adopted.signature), ()
    if len(every) == 1:
        return chosen(next(iter(every))), ()
    if _USUAL_SIGNATURE in every:
        others = quoted(name for name in every if name != _USUAL_SIGNATURE)
        note = f"Signature `{_USUAL_SIGNATURE}` was taken; there are also {others} (--signature)."
        return chosen(_USUAL_SIGNATURE), (note,)
    raise UsageError(
        f"{folder} has {len(every)} signatures, and none is called `{_USUAL_SIGNATURE}`: {listed}",
        hint="choose one with --signature",
    )


def _shown(name: str, definition: Any) -> str:
    """A SignatureDef for people: what it takes and gives."""
    import tensorflow as tf

    def tensors(infos: Any) -> str:
        return ", ".join(
            f"{tensor} {tf.as_dtype(info.dtype).name} {_sizes(info.tensor_shape)}"
            for tensor, info in sorted(infos.items())
        )

    return f"`{name}` ({tensors(definition.inputs)} to {tensors(definition.outputs)})"


def _sizes(shape: Any) -> str:
    if shape.unknown_rank:
        return "of unknown rank"
    return "[" + ", ".join("?" if dimension.size < 0 else str(dimension.size) for dimension in shape.dim) + "]"


def _as_array(tensor: Any) -> NDArray[Any]:
    if hasattr(tensor, "to_tensor") or not hasattr(tensor, "numpy"):
        raise ModelFailed(
            f"an output is a {type(tensor).__name__}, not a dense tensor",
            hint="only dense tensors reach every target: put a layer behind it that makes it dense",
        )
    return np.asarray(tensor.numpy())


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:300]
