"""Rows of NumPy files that may be larger than memory: only the rows that are wanted are kept."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pipeline.core.errors import UsageError
from pipeline.core.signature import TensorSpec
from pipeline.core.wording import quoted

_CHUNK_BYTES = 1 << 22
_LABELS = "labels"
# The last two of members that are encrypted, or packed by a method that Python lacks.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError)


def read_npz(path: Path, names: Sequence[str], *, count: int, what: str) -> tuple[dict[str, NDArray[Any]], int]:
    """At most `count` rows of each array, evenly spread, and how many rows there are.

    Raises UsageError for a file that is none, is damaged, or has other arrays than `names`; `what` tells what is
    wanted.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            held = [name.removesuffix(".npy") for name in archive.namelist()]
            missing, extra = sorted(set(names) - set(held)), sorted(set(held) - set(names) - {_LABELS})
            shown = quoted(held) or "nothing"
            if missing == [_LABELS] and not extra:
                raise UsageError(
                    f"--labels: {path} holds {shown}, but no `{_LABELS}`",
                    hint=f"add an array `{_LABELS}` with the index of each sample's right class, or leave --labels out",
                )
            if missing or extra:
                raise UsageError(
                    f"--samples {path} holds {shown}, the model takes {what}",
                    hint="name the arrays like the inputs: np.savez(file, **{name: array})",
                )
            found: dict[str, NDArray[Any]] = {}
            totals: dict[str, int] = {}
            for name in names:
                with archive.open(f"{name}.npy") as member:
                    found[name], totals[name] = _rows(member, count, path, name)
    except _UNREADABLE as error:
        raise UsageError(
            f"--samples {path} cannot be read: {error}", hint="it is damaged, or no .npz file: save it again"
        ) from error
    if len(set(totals.values())) > 1:
        raise UsageError(
            f"--samples {path}: the arrays do not have the same number of rows: {totals}",
            hint="give each input one row a sample",
        )
    return found, next(iter(totals.values()))


def npz_looks(path: Path) -> tuple[TensorSpec, ...]:
    """Name, type and shape of each array, its first dimension open; empty for what cannot be read."""
    looks = []
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    shape, _, dtype = _header(member)
                kind = "string" if dtype.kind in "OSU" else dtype.name
                looks.append(TensorSpec(name=name.removesuffix(".npy"), dtype=kind, shape=(None, *shape[1:])))
    except (*_UNREADABLE, ValueError):
        # `read_npz` says what is wrong with it.
        return ()
    return tuple(looks)


def read_npy(path: Path, *, count: int) -> tuple[NDArray[Any], int]:
    """At most `count` rows, evenly spread, and how many there are. Raises UsageError for a damaged file."""
    try:
        with path.open("rb") as file:
            return _rows(file, count, path, path.stem)
    except (EOFError, OSError) as error:
        raise UsageError(
            f"--samples {path} cannot be read: {error}", hint="it is damaged, or no .npy file: save it again"
        ) from error


def spread_rows(total: int, count: int) -> list[int]:
    """The indices of `count` rows of `total`, or of all when there are no more, as evenly apart as can be."""
    return list(range(total)) if total <= count else [at * total // count for at in range(count)]


def _rows(file: IO[bytes], count: int, path: Path, name: str) -> tuple[NDArray[Any], int]:
    try:
        shape, fortran, dtype = _header(file)
    except ValueError as error:
        raise UsageError(f"--samples {path}: `{name}` is no NumPy array: {error}", hint="save it again") from error
    if dtype.hasobject:
        raise UsageError(
            f"--samples {path}: `{name}` is an array of Python objects, which only code could read",
            hint="save text as array.astype('U') or array.astype('S'), numbers as an array of numbers",
        )
    if not shape:
        raise UsageError(f"--samples {path}: `{name}` is one number", hint="give it one row a sample")
    if fortran:
        raise UsageError(
            f"--samples {path}: `{name}` lies column by column, so that it cannot be read by rows",
            hint="save np.ascontiguousarray(array)",
        )
    row_bytes = math.prod(shape[1:]) * dtype.itemsize
    wanted = spread_rows(shape[0], count)
    kept = bytearray()
    at = 0
    for row in wanted:
        _skip(file, (row - at) * row_bytes)
        kept += _exactly(file, row_bytes)
        at = row + 1
    return np.frombuffer(bytes(kept), dtype=dtype).reshape(len(wanted), *shape[1:]).copy(), shape[0]


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return shape, fortran and len(shape) > 1, dtype


def _skip(file: IO[bytes], count: int) -> None:
    # A seek in a compressed member reads what it passes, in pieces.
    if count:
        file.seek(count, 1)


def _exactly(file: IO[bytes], count: int) -> bytes:
    parts = []
    left = count
    while left:
        part = file.read(min(left, _CHUNK_BYTES))
        if not part:
            raise EOFError("it ends before its last row")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
