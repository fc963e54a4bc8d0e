"""Samples from a table of text: a header with names, one row a sample."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
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
        _check_header(header, path)
        columns = {spec.name: _columns(spec, header, inputs, path, labels) for spec in inputs}
        wanted = set(spread_rows(total, count))
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            next(reader, None)
            every = enumerate((reader.line_num, row) for row in reader if row)
            rows = [_Row(path=path, line=line, values=row) for at, (line, row) in every if at in wanted]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"--samples {path} is no table in UTF-8: {error}", hint="save it as CSV again") from error
    for row in rows:
        row.check_length(len(header))
    arrays = {spec.name: _array(spec, [row.cells(columns[spec.name], header) for row in rows]) for spec in inputs}
    if labels is not None:
        if labels not in header:
            raise UsageError(f"--labels: {path} has no column `{labels}`", hint=f"it has {', '.join(header)}")
        right = [row.cells([header.index(labels)], header)[0] for row in rows]
        arrays[labels] = np.asarray([_number(cell, np.dtype(np.int64)) for cell in right], dtype=np.int64)
    return arrays, total


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """A value as it is written, and where."""

    text: str
    where: str


@dataclass(frozen=True, kw_only=True)
class _Row:
    """The values of one sample, and the line, from 1, on which they end."""

    path: Path
    line: int
    values: list[str]

    def check_length(self, width: int) -> None:
        if len(self.values) != width:
            raise UsageError(
                f"--samples {self.path}, line {self.line}: it has {len(self.values)} values, the header {width} names",
                hint="mend that line",
            )

    def cells(self, columns: Sequence[int], header: Sequence[str]) -> list[_Cell]:
        where = f"--samples {self.path}, line {self.line}"
        return [_Cell(text=self.values[at], where=f"{where}, column `{header[at]}`") for at in columns]


def _check_header(header: Sequence[str], path: Path) -> None:
    if not any(header):
        raise UsageError(f"--samples {path} is empty", hint="give a header with names, and one row a sample")
    # Columns that nobody named are 0, 1, 2 and so on where Pandas writes them.
    if all(_is_number(name) for name in header) and list(header) != [str(at) for at in range(len(header))]:
        raise UsageError(
            f"--samples {path} starts with numbers, not with names: {', '.join(header[:8])}",
            hint="put a line with a name for each column above them, else the first sample would be lost",
        )
    if len(header) == 1 and header[0].count(";") + header[0].count("\t"):
        raise UsageError(
            f"--samples {path} has one column, `{header[0][:80]}`",
            hint="part the columns by commas, and write decimals with a point",
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise UsageError(
            f"--samples {path} has several columns called {', '.join(twice)}", hint="give each a name of its own"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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


def _array(spec: TensorSpec, rows: list[list[_Cell]]) -> NDArray[Any]:
    shape = (len(rows), *(int(size or 0) for size in spec.shape[1:]))
    if spec.dtype == "string":
        texts = np.empty(shape, dtype=object)
        texts.ravel()[:] = [cell.text.encode() for row in rows for cell in row]
        return texts
    if spec.dtype == "bool":
        return np.asarray([_truth(cell) for row in rows for cell in row], dtype=bool).reshape(shape)
    dtype = np.dtype(spec.dtype)
    return np.asarray([_number(cell, dtype) for row in rows for cell in row], dtype=dtype).reshape(shape)


def _number(cell: _Cell, dtype: np.dtype[Any]) -> float | int:
    try:
        # Python reads 1_0 as ten, which no other program writes.
        number = (int if dtype.kind in "iu" else float)(cell.text.replace("_", "?"))
    except ValueError:
        raise UsageError(f"{cell.where}: {cell.text!r} is no {dtype}", hint="mend or remove that line") from None
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
        raise UsageError(f"{cell.where}: {cell.text} does not fit {dtype}", hint="mend or remove that line")
    return number


def _truth(cell: _Cell) -> bool:
    word = cell.text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise UsageError(f"{cell.where}: {cell.text!r} is neither true nor false", hint="write true or false")
    return word in _TRUE
