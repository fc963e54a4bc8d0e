"""Classify, Regress and MultiInference on a loaded version: tf.Examples in, labelled scores or values out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.embedded.dtypes import ELEMENT_TYPES, FLOAT, STRING, element_type_of
from serving.embedded.inference import Call
from serving.embedded.signatures import CLASSIFY, DEFAULT_SIGNATURE, REGRESS, SignatureSpec
from serving.embedded.status import Code, ServingError, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.embedded.servable import Servable


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleTask:
    """A classification or regression by one signature, ready to run on serialized tf.Examples."""

    signature: SignatureSpec
    method: str
    input: str
    outputs: tuple[str, ...]
    """Graph names of the tensors that it needs."""


def example_task(servable: Servable, signature_name: str, method: str, *, unknown: str) -> ExampleTask:
    """The task by its signature; `unknown` begins the message where there is none. Raises ServingError."""
    name = signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise invalid(f"{unknown}: {name}")
    return _classify_task(signature) if method == CLASSIFY else _regress_task(signature)


def _classify_task(signature: SignatureSpec) -> ExampleTask:
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if "inputs" not in signature.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {debug_text(signature.definition)}")
    present = [key for key in ("classes", "scores") if key in signature.outputs]
    if not present:
        raise invalid(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature '
            f"was: {debug_text(signature.definition)}"
        )
    return ExampleTask(
        signature=signature,
        method=CLASSIFY,
        input=signature.inputs["inputs"].tensor,
        outputs=tuple(signature.outputs[key].tensor for key in present),
    )


def _regress_task(signature: SignatureSpec) -> ExampleTask:
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if "inputs" not in signature.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {debug_text(signature.definition)}")
    if "outputs" not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {debug_text(signature.definition)}")
    return ExampleTask(
        signature=signature,
        method=REGRESS,
        input=signature.inputs["inputs"].tensor,
        outputs=(signature.outputs["outputs"].tensor,),
    )


def prepare_examples(servable: Servable, tasks: Sequence[ExampleTask], examples: Sequence[bytes]) -> Call:
    """One run for all the tasks, which share their input. Raises ServingError."""
    if not examples:
        raise invalid("Input is empty.")
    spec = tasks[0].signature.inputs["inputs"]
    serialized = np.empty(len(examples), np.object_)
    serialized[:] = list(examples)
    fetches = sorted({tensor for task in tasks for tensor in task.outputs})
    plan = servable.plan([("inputs", spec)], fetches)
    plan.check([serialized])
    return Call(plan=plan, arrays=[serialized], aliases=tuple(fetches))


def serialized_examples(given: Any) -> list[bytes]:
    """The tf.Examples of an Input proto; a context's features go into each example that lacks them."""
    match given.WhichOneof("kind"):
        case "example_list":
            return [example.SerializeToString() for example in given.example_list.examples]
        case "example_list_with_context":
            context = given.example_list_with_context.context.features.feature
            merged = []
            for example in given.example_list_with_context.examples:
                features = example.features.feature
                for name in context:
                    if name not in features:
                        features[name].CopyFrom(context[name])
                merged.append(example.SerializeToString())
            return merged
        case _:
            return []


def classify_into(result: Any, task: ExampleTask, outputs: Mapping[str, np.ndarray], count: int) -> None:
    """Fill a ClassificationResult. Raises ServingError where the model's outputs are no classification."""
    found = {
        key: _checked_output(key, kind, outputs[task.signature.outputs[key].tensor], count)
        for key, kind in (("classes", STRING), ("scores", FLOAT))
        if key in task.signature.outputs
    }
    classes, scores = found.get("classes"), found.get("scores")
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise invalid(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    width = next(iter(found.values())).shape[1]
    for row in range(count):
        classifications = result.classifications.add()
        for column in range(width):
            entry = classifications.classes.add()
            if classes is not None:
                entry.label = classes[row, column]
            if scores is not None:
                entry.score = scores[row, column]


def _checked_output(key: str, kind: int, array: np.ndarray, count: int) -> np.ndarray:
    if array.ndim != 2:
        raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
    if element_type_of(array).number != kind:
        raise invalid(f"Expected {key} Tensor of {_enum(kind)}. Got: {_enum(element_type_of(array).number)}")
    if array.shape[0] != count:
        raise invalid(f"Expected {key} output batch size of {count}. Got: {array.shape[0]}")
    return array


def regress_into(result: Any, task: ExampleTask, outputs: Mapping[str, np.ndarray], count: int) -> None:
    """Fill a RegressionResult. Raises ServingError where the model's output is no regression."""
    array = outputs[task.outputs[0]]
    if not (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)):
        raise invalid(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(array)}"
        )
    if array.shape[0] != count:
        raise invalid(f"Input batch size did not match output batch size: {count} vs. {array.shape[0]}")
    if element_type_of(array).number != FLOAT:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {_enum(element_type_of(array).number)}")
    for value in array.reshape(-1).tolist():
        result.regressions.add().value = value


def multi_inference_tasks(servable: Servable, tasks: Sequence[Any]) -> list[ExampleTask]:
    """The tasks of a MultiInferenceRequest, checked one after the other. Raises ServingError."""
    model_name = ""
    seen: set[str] = set()
    made: list[ExampleTask] = []
    for task in tasks:
        if not task.model_spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        model_name = model_name or task.model_spec.name
        if task.model_spec.name != model_name:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        signature_name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if signature_name in seen:
            raise invalid(f"Duplicate evaluation of signature: {signature_name}")
        seen.add(signature_name)
        if signature_name not in servable.signatures:
            raise invalid(f"Requested signature not found in model graph: {signature_name}")
        if task.method_name not in (CLASSIFY, REGRESS):
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
        made.append(example_task(servable, signature_name, task.method_name, unknown=""))
        if made[-1].input != made[0].input:
            raise invalid("Input tensor must be the same for all Signatures.")
    return made


def debug_text(message: Any) -> str:
    """A proto as C++ prints it in messages: map entries in order of their keys."""
    from google.protobuf import text_format

    return str(text_format.MessageToString(message))


def _shape(array: np.ndarray) -> str:
    return "[" + ",".join(map(str, array.shape)) + "]"


def _enum(number: int) -> str:
    return "DT_" + ELEMENT_TYPES[number].name.upper()
