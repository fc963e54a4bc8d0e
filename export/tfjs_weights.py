"""The weights of a TF.js graph model: shards of four megabytes, and the manifest that says what lies in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.affine_levels import affine_levels, levels_of
from export.halves import fits_half
from pipeline.core.artifact import Precision

Manifest = list[dict[str, Any]]

# What browsers cache without ado: the converter's own size.
_SHARD_BYTES = 4 * 1024 * 1024
# A large weight is quantized piece by piece: whole, in float64, it would take three times its size.
_PIECE_ELEMENTS = 1024 * 1024
# TF.js has no others; the converter narrows these alike.
_NARROWED = {"float16": "float32", "float64": "float32", "int64": "int32", "complex128": "complex64"}
_KEPT = ("float32", "int32", "complex64", "bool")
# Small integers are int32 in TF.js. In a file they take their own bytes: as a quantization in steps of one, by the
# type it is stored in and the least value.
_SMALL = {"int8": ("uint8", -128), "uint8": ("uint8", 0), "int16": ("uint16", -32_768), "uint16": ("uint16", 0)}


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """One weight: its entry in the manifest, how many bytes it takes, and the bytes in pieces."""

    entry: Mapping[str, Any]
    size: int
    pieces: Iterable[memoryview]


def write_weights(
    weights: Iterable[tuple[str, NDArray[Any]]],
    *,
    into: Path,
    precision: Precision,
    kept: Callable[[str], bool] = lambda _: False,
) -> Manifest:
    """Write the shards into the folder and return the manifest.

    Weights that `kept` is true of stay float32, as do in float16 those that halves cannot hold.

    Raises ValueError for a dtype that TF.js lacks, and for integers beyond 32 bits.
    """
    stored = [_stored(name, array, Precision.FLOAT32 if kept(name) else precision) for name, array in weights]
    shards = math.ceil(sum(one.size for one in stored) / _SHARD_BYTES)
    paths = [f"group1-shard{number}of{shards}.bin" for number in range(1, shards + 1)]
    _write_shards((piece for one in stored for piece in one.pieces), [into / path for path in paths])
    return [{"paths": paths, "weights": [dict(one.entry) for one in stored]}]


def read_weights(folder: Path, manifest: Manifest) -> Iterator[tuple[str, NDArray[Any]]]:
    """The weights of a model that was written in float32, in the manifest's order."""
    for group in manifest:
        content = _joined([folder / path for path in group["paths"]])
        for entry in group["weights"]:
            if entry["dtype"] == "string":
                array, size = _strings(content, math.prod(entry["shape"]))
            else:
                kind = np.dtype(entry.get("quantization", entry)["dtype"])
                size = math.prod(entry["shape"]) * kind.itemsize
                array = _as_it_was(np.frombuffer(content[:size], kind), entry)
            yield entry["name"], array.reshape(entry["shape"])
            content = content[size:]


def _as_it_was(stored: NDArray[Any], entry: Mapping[str, Any]) -> NDArray[Any]:
    """A small integer in its own type again; all else in a model of float32 lies there as it is."""
    quantized = entry.get("quantization")
    if quantized is None:
        return stored
    small = (quantized["dtype"], quantized["min"])
    kind = np.dtype(next(name for name, (dtype, least) in _SMALL.items() if (dtype, least) == small))
    whole = stored.astype(np.int32) + int(quantized["min"])
    return np.asarray(whole.astype(kind))


def _strings(content: memoryview, count: int) -> tuple[NDArray[Any], int]:
    texts, start = [], 0
    for _ in range(count):
        length = int.from_bytes(content[start : start + 4], "little")
        texts.append(bytes(content[start + 4 : start + 4 + length]))
        start += 4 + length
    array = np.empty(count, object)
    array[:] = texts
    return array, start


def _narrowed(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """The constant in a type of TF.js. Raises ValueError for integers that would be cut off."""
    if array.dtype.name not in _NARROWED:
        return array
    if array.dtype == np.int64:
        # The ends of int64 stand for no end at all, as of a slice.
        whole, narrow = np.iinfo(np.int64), np.iinfo(np.int32)
        array = np.where(array == whole.max, narrow.max, np.where(array == whole.min, narrow.min, array))
        wide = array[array != array.astype(np.int32)]
        if wide.size:
            raise ValueError(f"TF.js has no integers beyond 32 bits, and the constant {name} holds {wide[0]}")
    return np.asarray(array.astype(_NARROWED[array.dtype.name]))


def _stored(name: str, array: NDArray[Any], precision: Precision) -> _Stored:
    if array.dtype.kind in "OSU":
        text = b"".join(_counted(value) for value in array.reshape(-1).tolist())
        entry = {"name": name, "shape": list(array.shape), "dtype": "string"}
        return _Stored(entry=entry, size=len(text), pieces=[memoryview(text)])
    if array.dtype.name in _SMALL:
        return _stored_small(name, array)
    data = _narrowed(name, array)
    if data.dtype.name not in _KEPT:
        raise ValueError(f"TF.js has no {data.dtype.name}, which the constant {name} is")
    entry = {"name": name, "shape": list(data.shape), "dtype": data.dtype.name}
    # Of float32 alone: no other type can be asked whether halves hold it.
    if (
        data.dtype != np.float32
        or precision is Precision.FLOAT32
        or (precision is Precision.FLOAT16 and not fits_half(data))
    ):
        flat = np.ascontiguousarray(data).reshape(-1)
        return _Stored(entry=entry, size=flat.nbytes, pieces=[_bytes_of(flat)])
    kind = np.dtype(str(precision))
    scaling = {} if kind == np.float16 else _scaling(data, kind)
    quantization = {"dtype": kind.name, "original_dtype": "float32", **scaling}
    return _Stored(
        entry={**entry, "quantization": quantization},
        size=data.size * kind.itemsize,
        pieces=_Quantized(data.reshape(-1), kind, scaling),
    )


def _stored_small(name: str, array: NDArray[Any]) -> _Stored:
    kind, least = _SMALL[array.dtype.name]
    stored = np.ascontiguousarray(array.astype(np.int32) - least).astype(kind).reshape(-1)
    quantization = {"dtype": kind, "original_dtype": "int32", "min": least, "scale": 1}
    return _Stored(
        entry={"name": name, "shape": list(array.shape), "dtype": "int32", "quantization": quantization},
        size=stored.nbytes,
        pieces=[_bytes_of(stored)],
    )


def _scaling(data: NDArray[Any], kind: np.dtype[Any]) -> dict[str, float]:
    """Offset and step of the affine quantization, as the manifest has them."""
    least, most = (float(data.min()), float(data.max())) if data.size else (0.0, 0.0)
    lowest, step = affine_levels(least, most, int(np.iinfo(kind).max))
    return {"min": lowest, "scale": step}


@dataclass(frozen=True, eq=False)
class _Quantized:
    """Pieces of a float32 weight as they are stored: computed when they are asked for."""

    flat: NDArray[Any]
    kind: np.dtype[Any]
    scaling: Mapping[str, float]

    def __iter__(self) -> Iterator[memoryview]:
        for start in range(0, len(self.flat), _PIECE_ELEMENTS):
            piece = self.flat[start : start + _PIECE_ELEMENTS]
            if self.scaling:
                steps = int(np.iinfo(self.kind).max)
                piece = levels_of(piece, self.scaling["min"], self.scaling["scale"], steps)
            yield _bytes_of(piece.astype(self.kind))


def _bytes_of(flat: NDArray[Any]) -> memoryview:
    return flat.view(np.uint8).data


def _counted(value: Any) -> bytes:
    encoded = value if isinstance(value, bytes) else str(value).encode()
    return len(encoded).to_bytes(4, "little") + encoded


def _write_shards(pieces: Iterable[memoryview], files: Sequence[Path]) -> None:
    waiting = (piece for piece in pieces if len(piece))
    rest = memoryview(b"")
    for path in files:
        with path.open("wb") as file:
            room = _SHARD_BYTES
            while room and (rest or (rest := next(waiting, memoryview(b"")))):
                file.write(rest[:room])
                rest, room = rest[room:], room - len(rest[:room])


def _joined(files: Sequence[Path]) -> memoryview:
    sizes = [file.stat().st_size for file in files]
    content = memoryview(bytearray(sum(sizes)))
    start = 0
    for path, size in zip(files, sizes, strict=True):
        with path.open("rb") as file:
            file.readinto(content[start : start + size])
        start += size
    return content
