"""Reads the JSON of Predict, row format (`instances`) and column format (`inputs`), with every refusal in its words."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    type_name,
)
from serving.embedded.json_parse import JsonObject, parse_object
from serving.embedded.json_write import value_text
from serving.embedded.status import Code, ServingError, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from serving.embedded.signatures import TensorSpec

_MAX_RANK = 254
_BASE64 = re.compile(r"([A-Za-z0-9+/]*)([=.]*)")
_SPACE = re.compile(r"[ \t\n\r\f\v]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictInputs:
    """What a Predict body asks: the inputs by name, and whether the answer is in rows."""

    signature_name: str
    arrays: dict[str, np.ndarray]
    row_format: bool


def read_predict(body: bytes, inputs_of: Callable[[str], Mapping[str, TensorSpec]]) -> PredictInputs:
    """Read any body, slowly and exactly. `inputs_of` finds a signature's inputs. Raises ServingError."""
    document = parse_object(body)
    signature_name = read_signature_name(document)
    specs = inputs_of(signature_name)
    if not specs:
        raise invalid(f"Failed to get input map for signature: {signature_name or 'DEFAULT'}")
    has_rows, rows = document.find("instances")
    has_columns, columns = document.find("inputs")
    if has_rows and has_columns:
        raise invalid(
            f"JSON Value: {value_text(document)} Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist "
        )
    if has_rows:
        if not isinstance(rows, list):
            raise invalid(f"JSON Value: {value_text(document)} Expecting 'instances' to be an list/array")
        if not rows:
            raise invalid(f"JSON Value: {value_text(document)} No values in 'instances' array")
        return PredictInputs(signature_name=signature_name, arrays=_rows(rows, specs), row_format=True)
    if has_columns:
        return PredictInputs(signature_name=signature_name, arrays=_columns(columns, specs), row_format=False)
    raise invalid("Missing 'inputs' or 'instances' key")


def read_signature_name(document: JsonObject) -> str:
    found, name = document.find("signature_name")
    if not found:
        return ""
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {value_text(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def type_word(value: object) -> str:
    """What TensorFlow Serving calls a value's JSON type."""
    match value:
        case None:
            return "Null"
        case bool():
            return "True" if value else "False"
        case JsonObject():
            return "Object"
        case list():
            return "Array"
        case str():
            return "String"
        case _:
            return "Number"


def is_base64(value: object) -> bool:
    return (
        isinstance(value, JsonObject)
        and len(value.members) == 1
        and value.members[0][0] == "b64"
        and isinstance(value.members[0][1], str)
    )


def decode_base64(text: str) -> bytes:
    """Standard alphabet; white space is skipped and padding may be missing. Raises ServingError."""
    found = _BASE64.fullmatch(_SPACE.sub("", text))
    digits, padding = found.groups() if found else ("", "")
    wanted = -len(digits) % 4
    if not found or wanted == 3 or len(padding) not in (0, wanted):
        raise invalid("Unable to base64 decode")
    return base64.b64decode(digits + "=" * wanted)


def _columns(value: object, specs: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
    if not isinstance(value, JsonObject) or is_base64(value):
        if len(specs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        ((name, spec),) = specs.items()
        return {name: _Collected(name, spec.dtype).add(value).whole()}
    arrays = {}
    for name, spec in specs.items():
        found, item = value.find(name)
        if not found:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        arrays[name] = _Collected(name, spec.dtype).add(item).whole()
    return arrays


def _rows(rows: list[object], specs: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
    if not isinstance(rows[0], JsonObject) and len(specs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    collected = {name: _Collected(name, spec.dtype) for name, spec in specs.items()}
    named = _is_named(rows[0])
    first_name = next(iter(specs))
    for index, row in enumerate(rows):
        if _is_named(row) != named:
            want, got = ("object", "list") if named else ("value/list", "object")
            raise invalid(f"Expecting {want} but got {got} at item {index} of input list")
        if not isinstance(row, JsonObject) or not named:
            try:
                collected[first_name].add(row)
            except ServingError as error:
                raise invalid(f"Failed to process element: {index} of 'instances' list. Error: {error}") from None
            continue
        _add_named_row(index, row, collected)
    return {name: items.stacked(len(rows)) for name, items in collected.items()}


def _add_named_row(index: int, row: JsonObject, collected: Mapping[str, _Collected]) -> None:
    for name, value in row:
        try:
            if name not in collected:
                raise invalid(f"JSON object: does not have named input: {name}")
            collected[name].add(value)
        except ServingError as error:
            raise invalid(
                f"Failed to process element: {index} key: {name} of 'instances' list. Error: {error}"
            ) from None
    if {name for name, _ in row} != collected.keys():
        raise invalid(
            f"Failed to process element: {index} of 'instances' list. JSON object: {value_text(row)} keys must be "
            f"equal to: {','.join(sorted(collected))}"
        )


def _is_named(row: object) -> bool:
    return isinstance(row, JsonObject) and not is_base64(row)


class _Collected:
    """The values of one input, gathered item by item; every item must have the first one's shape."""

    def __init__(self, name: str, dtype: int) -> None:
        self.name = name
        self.dtype = dtype
        self.values: list[object] = []
        self.shape: list[int] | None = None
        self.size = 0

    def add(self, item: object) -> _Collected:
        shape = _shape_of(item)
        before = len(self.values)
        self._fill(item, shape)
        size = len(self.values) - before
        if self.shape is None:
            self.shape, self.size = shape, size
        elif size != self.size:
            raise invalid(f"Expecting tensor size: {self.size} but got: {size}")
        elif shape != self.shape:
            raise invalid(f"Expecting shape {_bracketed(self.shape)} but got: {_bracketed(shape)}")
        return self

    def whole(self) -> np.ndarray:
        return self._array(self.shape or [])

    def stacked(self, count: int) -> np.ndarray:
        return self._array([count, *(self.shape or [])])

    def _array(self, shape: list[int]) -> np.ndarray:
        kind = ELEMENT_TYPES.get(self.dtype)
        if kind is None or len(shape) > _MAX_RANK or len(self.values) > math.prod(shape) or len(shape) > 64:
            raise invalid(f"tensor parsing error: {self.name}")
        if kind.is_string:
            flat = np.empty(len(self.values), np.object_)
            flat[:] = self.values
        else:
            # Through 64 bits: narrow integers wrap around, and doubles beyond float become infinite.
            wide = np.int64 if kind.numpy.kind == "i" or kind.number == UINT8 else kind.numpy
            with np.errstate(over="ignore"):
                flat = np.array(self.values, np.float64 if kind.number == FLOAT else wide).astype(kind.numpy)
        return flat.reshape(shape)

    def _fill(self, item: object, shape: list[int]) -> None:
        """Append the item's leaves in order, without recursion: a stack of what is left of each open list."""
        rank = len(shape)
        if not isinstance(item, list):
            self.values.append(self._leaf(item, 0, rank))
            return
        stack = [iter(item)]
        while stack:
            for value in stack[-1]:
                level = len(stack)
                if not isinstance(value, list):
                    self.values.append(self._leaf(value, level, rank))
                    continue
                if level >= rank:
                    raise invalid(f"Encountered list at unexpected level: {level} expected < {rank}")
                if len(value) != shape[level]:
                    raise invalid(
                        f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: "
                        f"{shape[level]}"
                    )
                stack.append(iter(value))
                break
            else:
                stack.pop()

    def _leaf(self, value: object, level: int, rank: int) -> object:
        if level != rank:
            raise invalid(
                f"JSON Value: {value_text(value)} found at incorrect level: {level + 1} in the JSON DOM. Expected at "
                f"level: {rank}"
            )
        if isinstance(value, JsonObject) and self.dtype == STRING:
            if not is_base64(value):
                raise invalid(f"JSON Value: {value_text(value)} not formatted correctly for base64 data")
            return decode_base64(str(value.members[0][1]))
        if isinstance(value, JsonObject):
            raise _wrong_type(value, self.dtype)
        return _scalar(value, self.dtype)


def _scalar(value: object, dtype: int) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    integer = isinstance(value, int) and not isinstance(value, bool)
    match dtype:
        case n if n in {FLOAT, DOUBLE}:
            fits = number
        case n if n in {INT32, INT16, INT8, UINT8}:
            fits = integer and -(1 << 31) <= value < 1 << 31  # type: ignore[operator]  # an int where `integer`
        case n if n == INT64:
            fits = integer and -(1 << 63) <= value < 1 << 63  # type: ignore[operator]  # as above
        case n if n == UINT32:
            fits = integer and 0 <= value < 1 << 32  # type: ignore[operator]  # as above
        case n if n == UINT64:
            fits = integer and 0 <= value < 1 << 64  # type: ignore[operator]  # as above
        case n if n == BOOL:
            fits = isinstance(value, bool)
        case n if n == STRING:
            if isinstance(value, str):
                return value.encode("utf-8", "surrogateescape")
            fits = False
        case _:
            raise ServingError(
                Code.UNIMPLEMENTED, f"Conversion of JSON Value: {value_text(value)} to type: {type_name(dtype)}"
            )
    if not fits:
        raise _wrong_type(value, dtype)
    return value


def _wrong_type(value: object, dtype: int) -> ServingError:
    return invalid(
        f"JSON Value: {value_text(value)} Type: {type_word(value)} is not of expected type: {type_name(dtype)}"
    )


def _shape_of(item: object) -> list[int]:
    shape = []
    while isinstance(item, list):
        shape.append(len(item))
        if not item:
            break
        item = item[0]
    return shape


def _bracketed(shape: Iterable[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
