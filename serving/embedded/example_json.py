"""The JSON of Classify and Regress: `examples` and `context` to tf.Examples, results back to JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.embedded.example_inference import (
    classify_into,
    example_task,
    prepare_examples,
    regress_into,
    serialized_examples,
)
from serving.embedded.json_parse import JsonObject, parse_object
from serving.embedded.json_write import decimal_texts, encoded, quoted, value_text
from serving.embedded.predict_read import decode_base64, is_base64, read_signature_name, type_word
from serving.embedded.signatures import CLASSIFY, REGRESS
from serving.embedded.status import invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.embedded.inference import Call
    from serving.embedded.servable import Servable


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedExamples:
    """A Classify or Regress body: the signature and an Input proto."""

    signature_name: str
    input: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedExamples:
    """What to run, and how its outputs become a body."""

    call: Call
    count: int
    finish: Callable[[list[np.ndarray]], bytes]


def read_examples(body: bytes) -> AskedExamples:
    """Read a Classify or Regress body. Raises ServingError."""
    from tensorflow_serving.apis import input_pb2

    document = parse_object(body)
    signature_name = read_signature_name(document)
    given = input_pb2.Input()
    has_context, context = document.find("context")
    if has_context:
        _fill_example(given.example_list_with_context.context, context)
    found, examples = document.find("examples")
    quote = f"JSON Value: {value_text(document)}" if not found or not isinstance(examples, list) or not examples else ""
    if not found:
        raise invalid(f"{quote} When method is classify, key 'examples' is expected and was not found")
    if not isinstance(examples, list):
        raise invalid(f"{quote} Expecting 'examples' value to be an list/array")
    if not examples:
        raise invalid(f"{quote} 'examples' value is an empty array")
    into = given.example_list_with_context.examples if has_context else given.example_list.examples
    for example in examples:
        _fill_example(into.add(), example)
    return AskedExamples(signature_name=signature_name, input=given)


def prepare(servable: Servable, method: str, asked: AskedExamples) -> PreparedExamples:
    """Check the request against the signature. Raises ServingError."""
    from tensorflow_serving.apis import classification_pb2, regression_pb2

    task = example_task(
        servable,
        asked.signature_name,
        CLASSIFY if method == "classify" else REGRESS,
        unknown="No signature was found with the name",
    )
    examples = serialized_examples(asked.input)
    call = prepare_examples(servable, [task], examples)

    def finish(outputs: list[np.ndarray]) -> bytes:
        named = dict(zip(call.aliases, outputs, strict=True))
        if task.method == CLASSIFY:
            classified = classification_pb2.ClassificationResult()
            classify_into(classified, task, named, len(examples))
            return _classification_json(classified)
        regressed = regression_pb2.RegressionResult()
        regress_into(regressed, task, named, len(examples))
        return _regression_json(regressed)

    return PreparedExamples(call=call, count=len(examples), finish=finish)


def _classification_json(result: Any) -> bytes:
    if not result.classifications:
        raise invalid("Cannot convert empty ClassificationResults to JSON")
    rows = []
    for classifications in result.classifications:
        scores = decimal_texts(np.array([entry.score for entry in classifications.classes], np.float32))
        pairs = zip(classifications.classes, scores, strict=True)
        rows.append("[" + ", ".join(f"[{quoted(entry.label)}, {score}]" for entry, score in pairs) + "]")
    return encoded(f'{{\n    "results": [{", ".join(rows)}\n    ]\n}}')


def _regression_json(result: Any) -> bytes:
    if not result.regressions:
        raise invalid("Cannot convert empty RegressionResults to JSON")
    values = decimal_texts(np.array([entry.value for entry in result.regressions], np.float32))
    return encoded(f'{{\n    "results": [{", ".join(values)}]\n}}')


def _fill_example(example: Any, value: object) -> None:
    if not isinstance(value, JsonObject):
        raise invalid(f"Example must be JSON object but got JSON {type_word(value)}")
    for name, content in value:
        feature = example.features.feature[name]
        # The last of several members with one name counts.
        feature.Clear()
        for item in content if isinstance(content, list) else [content]:
            _add_value(feature, name, item)
    if not value.members:
        example.features.SetInParent()


_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def _add_value(feature: Any, name: str, value: Any) -> None:
    match value:
        case None | list():
            raise _unexpected(name, value)
        case bool():
            _list_of(feature, name, "int64_list").append(int(value))
        case JsonObject():
            if not is_base64(value):
                raise _unexpected(name, value)
            _list_of(feature, name, "bytes_list").append(decode_base64(str(value.members[0][1])))
        case str():
            _list_of(feature, name, "bytes_list").append(value.encode("utf-8", "surrogateescape"))
        case float():
            with np.errstate(over="ignore"):
                _list_of(feature, name, "float_list").append(float(np.float32(value)))
        case _:
            values = _list_of(feature, name, "int64_list")
            if value >= 1 << 63:
                raise invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
            values.append(value)


def _list_of(feature: Any, name: str, kind: str) -> Any:
    already = feature.WhichOneof("kind")
    if already not in (None, kind):
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {_KINDS[already]}")
    return getattr(feature, kind).value


def _unexpected(name: str, value: object) -> Exception:
    return invalid(f"Feature: {name} has element with unexpected JSON type: {type_word(value)}")
