"""The user's own samples: .npz, .npy, .csv or a folder of images, read by rows and held against the signature."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import UsageError
from pipeline.core.signature import Tensors, TensorSpec
from pipeline.core.unreadable import unreadable_named
from pipeline.samples.csv_table import read_csv
from pipeline.samples.images import SUFFIXES, image_files, read_images
from pipeline.samples.npz import npz_looks, read_npy, read_npz
from pipeline.samples.wanted import described, shown_shape

LABELS = "labels"
_KINDS = "give an .npz, .npy or .csv file, or a folder of images"


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """Rows of the user's samples by input name; `labels` int64 [samples] or None; `total` is how many there were."""

    inputs: Tensors
    labels: NDArray[np.int64] | None
    total: int


def samples_digest(path: Path) -> str:
    """SHA-256 (hex) over names, sizes and times of change: what they hold may be larger than one wants to read twice.

    Raises UsageError when there is nothing at the path.
    """
    with unreadable_named(str(path)):
        if not path.exists():
            raise UsageError(f"--samples {path}: there is nothing at that path", hint=_KINDS)
        files = image_files(path) if path.is_dir() else [path]
        lines = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def looks_of(path: Path) -> tuple[TensorSpec, ...]:
    """Names, types and shapes of the arrays in an .npz, the first dimension open; nothing of other files."""
    return npz_looks(path) if path.suffix.lower() == ".npz" else ()


def read_samples(
    path: Path,
    inputs: Sequence[TensorSpec],
    *,
    count: int,
    labels: bool,
    ranges: dict[str, tuple[float, float]],
) -> Given:
    """At most `count` samples, evenly spread over the file; memory holds those rows and no more.

    `ranges` say what black and white of an image become. Raises UsageError, naming the input and the first sample in
    question, for what does not fit the signature: names, shapes, dtypes, numbers that are not finite.
    """
    wanted = {spec.name: spec for spec in inputs}
    if path.is_dir():
        _refuse_labels(path, asked=labels)
        given = Given(inputs=read_images(path, _only(inputs, path), count=count, ranges=ranges), labels=None, total=0)
        return _checked(given, wanted, path)
    match path.suffix.lower():
        case ".npz":
            arrays, total = read_npz(
                path, [*wanted, *([LABELS] if labels else [])], count=count, what=described(inputs)
            )
        case ".npy":
            _refuse_labels(path, asked=labels)
            array, total = read_npy(path, count=count)
            arrays = {_only(inputs, path).name: array}
        case ".csv":
            arrays, total = read_csv(path, inputs, count=count, labels=LABELS if labels else None)
        case suffix if suffix in SUFFIXES:
            raise UsageError(f"--samples {path} is one image", hint="give the folder that holds the images")
        case _:
            raise UsageError(f"--samples {path}: samples are not read from such a file", hint=_KINDS)
    right = _right_classes(arrays.pop(LABELS), path) if labels else None
    return _checked(Given(inputs=arrays, labels=right, total=total), wanted, path)


def _only(inputs: Sequence[TensorSpec], path: Path) -> TensorSpec:
    if len(inputs) != 1:
        raise UsageError(
            f"--samples {path} holds values of one input, and the model has {len(inputs)}: {described(inputs)}",
            hint="give an .npz with one array for each input, by its name",
        )
    return inputs[0]


def _refuse_labels(path: Path, *, asked: bool) -> None:
    if asked:
        raise UsageError(
            f"--labels: {path} has no place for them", hint=f"give an .npz or .csv with an array `{LABELS}`"
        )


def _right_classes(array: NDArray[Any], path: Path) -> NDArray[np.int64]:
    flat = array.reshape(len(array), -1) if array.ndim else array.reshape(0, 0)
    if array.dtype.kind not in "iu" or flat.shape[1:] != (1,):
        raise UsageError(
            f"--labels: `{LABELS}` in {path} is {array.dtype} {shown_shape(array.shape)}",
            hint="give the index of the right class, one integer a sample",
        )
    return np.asarray(flat[:, 0], dtype=np.int64)


def _checked(given: Given, wanted: dict[str, TensorSpec], path: Path) -> Given:
    counts = {name: len(array) for name, array in given.inputs.items()}
    if len(set(counts.values())) != 1 or not next(iter(counts.values())):
        raise UsageError(
            f"--samples {path} holds no samples, or not the same number for each input: {counts}",
            hint="give each input one row a sample",
        )
    return Given(
        inputs={name: _fitting(given.inputs[name], spec, path) for name, spec in wanted.items()},
        labels=given.labels,
        total=given.total or next(iter(counts.values())),
    )


def _fitting(array: NDArray[Any], spec: TensorSpec, path: Path) -> NDArray[Any]:
    where = f"--samples {path}: `{spec.name}`"
    own, got = spec.shape[1:], array.shape[1:]
    if len(own) != len(got) or any(o not in (None, size) for o, size in zip(own, got, strict=True)):
        raise UsageError(
            f"{where} has samples of shape {shown_shape(got)}, the model takes {shown_shape(own)}",
            hint="the first dimension counts samples; reshape the array before it is saved",
        )
    if spec.dtype == "string":
        if array.dtype.kind not in "OSU":
            raise UsageError(f"{where} is {array.dtype}, the model takes text", hint="save it as an array of strings")
        return _as_text(array)
    if array.dtype.name != spec.dtype:
        raise UsageError(
            f"{where} is {array.dtype}, the model takes {spec.dtype}",
            hint=f"convert it yourself, so that nothing is lost unseen: array.astype({spec.dtype!r})",
        )
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        place = tuple(int(at) for at in np.argwhere(~np.isfinite(array))[0])
        raise UsageError(
            f"{where} holds {int((~np.isfinite(array)).sum())} numbers that are NaN or infinite, the first at {place} "
            "of the rows read",
            hint="leave such samples out: no comparison, and no calibration, can use them",
        )
    return array


def _as_text(array: NDArray[Any]) -> NDArray[Any]:
    texts = np.empty(array.shape, dtype=object)
    texts.ravel()[:] = [value if isinstance(value, bytes) else str(value).encode() for value in array.ravel().tolist()]
    return texts
