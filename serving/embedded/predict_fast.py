"""The quick way through a Predict body: a strict parser and NumPy, for the bodies on which nobody could disagree.

Whatever is not plainly right (a duplicate key, a wrong type, ragged lists, NaN, ...) goes back to `predict_read`, which
knows TensorFlow Serving's answer to everything. Taking this way must never change an answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from serving.embedded.dtypes import (
    BOOL,
    DOUBLE,
    ELEMENT_TYPES,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT8,
    UINT32,
    UINT64,
)
from serving.embedded.number_lists import NumberList, read_number_list
from serving.embedded.predict_read import PredictInputs, decode_base64
from serving.embedded.status import ServingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serving.embedded.signatures import TensorSpec

_INTEGER_RANGES = {
    INT32: (-(1 << 31), (1 << 31) - 1),
    INT16: (-(1 << 31), (1 << 31) - 1),
    INT8: (-(1 << 31), (1 << 31) - 1),
    UINT8: (-(1 << 31), (1 << 31) - 1),
    INT64: (-(1 << 63), (1 << 63) - 1),
    UINT32: (0, (1 << 32) - 1),
    UINT64: (0, (1 << 64) - 1),
}
_KNOWN_KEYS = frozenset({"instances", "inputs", "signature_name"})
_INEXACT = re.compile(rb"[0-9.]{17}|[0-9][eE]")
"""Where the two parsers may round a double differently: many digits, or a power of ten."""


_MAX_RANK = 64
"""NumPy's."""


class _NotPlain(Exception):  # not an error: the exact reader takes over
    """The body needs the exact reader."""


def read_plain_predict(body: bytes, inputs_of: Callable[[str], Mapping[str, TensorSpec]]) -> PredictInputs | None:
    """The inputs, or None where `predict_read.read_predict` has to look. Raises what `inputs_of` raises."""
    numbers = read_number_list(body)
    if numbers is not None:
        return _from_numbers(body, numbers, inputs_of)
    return _from_document(body, inputs_of)


def _from_numbers(
    body: bytes, numbers: NumberList, inputs_of: Callable[[str], Mapping[str, TensorSpec]]
) -> PredictInputs | None:
    specs = inputs_of(numbers.signature_name)
    if len(specs) != 1 or len(numbers.shape) > _MAX_RANK:
        return None
    ((name, spec),) = specs.items()
    if spec.dtype == STRING:
        return None
    try:
        flat = _Reader(body, 0).array(numbers.values, spec.dtype)
    except _NotPlain:
        return None
    return PredictInputs(
        signature_name=numbers.signature_name,
        arrays={name: flat.reshape(numbers.shape)},
        row_format=numbers.row_format,
    )


def _from_document(body: bytes, inputs_of: Callable[[str], Mapping[str, TensorSpec]]) -> PredictInputs | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(document) is not dict or not document.keys() <= _KNOWN_KEYS or b"\\" in body:
        return None
    signature_name = document.get("signature_name", "")
    if type(signature_name) is not str or ("instances" in document) == ("inputs" in document):
        return None
    specs = inputs_of(signature_name)
    reader = _Reader(body, 2 * len(document) + (2 if "signature_name" in document else 0))
    try:
        if "instances" in document:
            arrays = reader.rows(document["instances"], specs)
        else:
            arrays = reader.columns(document["inputs"], specs)
    except _NotPlain:
        return None
    # Every quotation mark is accounted for: no duplicate key was swallowed and no string stood among numbers.
    if reader.quotes != body.count(b'"'):
        return None
    return PredictInputs(signature_name=signature_name, arrays=arrays, row_format="instances" in document)


class _Reader:
    def __init__(self, body: bytes, quotes: int) -> None:
        self.body = body
        self.quotes = quotes

    def rows(self, rows: Any, specs: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
        if type(rows) is not list or not rows:
            raise _NotPlain
        if len(specs) == 1:
            ((name, spec),) = specs.items()
            if type(rows[0]) is not dict or rows[0].keys() == {"b64"}:
                return {name: self.array(rows, spec.dtype)}
        if not specs or any(type(row) is not dict or row.keys() != specs.keys() for row in rows):
            raise _NotPlain
        self.quotes += 2 * len(rows) * len(specs)
        return {name: self.array([row[name] for row in rows], spec.dtype) for name, spec in specs.items()}

    def columns(self, value: Any, specs: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
        if type(value) is not dict:
            if len(specs) != 1:
                raise _NotPlain
            ((name, spec),) = specs.items()
            return {name: self.array(value, spec.dtype)}
        if not specs or value.keys() != specs.keys():
            raise _NotPlain
        self.quotes += 2 * len(specs)
        return {name: self.array(value[name], spec.dtype) for name, spec in specs.items()}

    def array(self, values: Any, dtype: int) -> np.ndarray:
        if dtype == STRING:
            return self.strings(values)
        kind = ELEMENT_TYPES.get(dtype)
        if kind is None:
            raise _NotPlain
        try:
            if dtype in (FLOAT, DOUBLE):
                self.only_numbers(dtype)
                with np.errstate(over="ignore"):
                    return np.array(values, kind.numpy)
            array = np.array(values)
        except (ValueError, TypeError, OverflowError):
            raise _NotPlain from None
        if not array.size:
            return array.astype(kind.numpy)
        if dtype == BOOL:
            if array.dtype != np.bool_:
                raise _NotPlain
            return array
        limits = _INTEGER_RANGES.get(dtype)
        if limits is None or array.dtype.kind not in "iu":
            raise _NotPlain
        self.only_numbers(dtype)
        if array.min() < limits[0] or array.max() > limits[1]:
            raise _NotPlain
        return array.astype(kind.numpy)

    def only_numbers(self, dtype: int) -> None:
        """NumPy would take a truth value or null for a number."""
        body = self.body
        if b"true" in body or b"false" in body or b"null" in body:
            raise _NotPlain
        if dtype == DOUBLE and _INEXACT.search(body):
            raise _NotPlain

    def strings(self, values: Any) -> np.ndarray:
        """A flat list of strings and base64 objects; deeper lists are rare enough for the exact reader."""
        if type(values) is not list:
            raise _NotPlain
        array = np.empty(len(values), np.object_)
        for index, value in enumerate(values):
            if type(value) is str:
                self.quotes += 2
                array[index] = value.encode()
            elif type(value) is dict and value.keys() == {"b64"} and type(value["b64"]) is str:
                self.quotes += 4
                try:
                    array[index] = decode_base64(value["b64"])
                except ServingError:
                    raise _NotPlain from None
            else:
                raise _NotPlain
        return array
