"""Samples from a table of text: a header with names, one row a sample."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import UsageError
from pipeline.core.signature import TensorSpec
from pipeline.samples.npz import spread_rows
from pipeline.samples.wanted import described

_TRUE = {"true", "1", "yes"}
_FALSE = {"false", "0", "no"}


def read_csv(
    path: Path, inputs: Sequence[TensorSpec], *, count: int, labels: str | None
) -> tuple[dict[str, NDArray[Any]], int]:
    """At most `count` rows, evenly spread, and how many there are.

    An input of one value a sample is the column of its name; one of several values is `name_0`, `name_1` and so on; the
    only input of a model may also be all columns in their order. Raises UsageError for anything else, with row and
    column of a value that does not fit.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            total = sum(1 for row in reader if row)
        columns = {spec.name: _columns(spec, header, inputs, path, labels) for spec in inputs}
        wanted = set(spread_rows(total, count))
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            next(reader, None)
            rows = [row for at, row in enumerate(row for row in reader if row) if at in wanted]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"--samples {path} is no table in UTF-8: {error}", hint="save it as CSV again") from error
    numbers = sorted(wanted)
    arrays = {
        spec.name: _array(spec, [[row[at] for at in columns[spec.name]] for row in _whole(rows, header, numbers, path)])
        for spec in inputs
    }
    if labels is not None:
        if labels not in header:
            raise UsageError(f"--labels: {path} has no column `{labels}`", hint=f"it has {', '.join(header)}")
        at = header.index(labels)
        arrays[labels] = np.asarray([_number(row[at], np.dtype(np.int64), labels) for row in rows], dtype=np.int64)
    return arrays, total


def _columns(
    spec: TensorSpec, header: Sequence[str], inputs: Sequence[TensorSpec], path: Path, labels: str | None
) -> list[int]:
    sizes = spec.shape[1:]
    if None in sizes:
        raise UsageError(
            f"--samples {path}: a table cannot hold `{spec.name}`, whose samples vary in size", hint="give an .npz"
        )
    width = math.prod(size or 0 for size in sizes)
    named = [spec.name] if width == 1 and spec.name in header else [f"{spec.name}_{at}" for at in range(width)]
    if all(name in header for name in named):
        return [header.index(name) for name in named]
    others = [at for at, name in enumerate(header) if name != labels]
    if len(inputs) == 1 and len(others) == width:
        return others
    raise UsageError(
        f"--samples {path} has the columns {', '.join(header[:8])}, the model takes {described(inputs)}",
        hint=f"name {width} column{'s' if width > 1 else ''} {', '.join(named[:2])}{' and so on' if width > 2 else ''}",
    )


def _whole(rows: Sequence[list[str]], header: Sequence[str], numbers: Sequence[int], path: Path) -> Sequence[list[str]]:
    for number, row in zip(numbers, rows, strict=True):
        if len(row) != len(header):
            raise UsageError(
                f"--samples {path}: sample {number} has {len(row)} values, the header {len(header)} names",
                hint="mend that line",
            )
    return rows


def _array(spec: TensorSpec, rows: list[list[str]]) -> NDArray[Any]:
    shape = (len(rows), *(int(size or 0) for size in spec.shape[1:]))
    if spec.dtype == "string":
        texts = np.empty(shape, dtype=object)
        texts.ravel()[:] = [value.encode() for row in rows for value in row]
        return texts
    if spec.dtype == "bool":
        return np.asarray([_truth(value, spec.name) for row in rows for value in row]).reshape(shape)
    dtype = np.dtype(spec.dtype)
    numbers = [_number(value, dtype, spec.name) for row in rows for value in row]
    return np.asarray(numbers, dtype=dtype).reshape(shape)


def _number(text: str, dtype: np.dtype[Any], name: str) -> float | int:
    try:
        number = int(text) if dtype.kind in "iu" else float(text)
    except ValueError:
        raise UsageError(
            f"--samples: {text!r} in the column of `{name}` is no {dtype}", hint="mend or remove that line"
        ) from None
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
        raise UsageError(f"--samples: {text} of `{name}` does not fit {dtype}", hint="mend or remove that line")
    return number


def _truth(text: str, name: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise UsageError(f"--samples: {text!r} of `{name}` is neither true nor false", hint="write true or false")
    return word in _TRUE
