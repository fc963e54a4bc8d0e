"""The weights that an artifact holds, as floats, read from its files: no runtime is asked."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.halves import all_halves
from pipeline.core.artifact import Artifact, Format, Precision

_MOST_SHARDS = 4
_FLOATS = {"float32": np.float32, "float16": np.float16}


@dataclass(frozen=True, kw_only=True, eq=False)
class Held:
    """One constant or variable. `step` is how far rounding may have moved a value, 0 for float32."""

    name: str
    values: NDArray[np.float64]
    step: NDArray[np.float64] | float = 0.0


def held_by(artifact: Artifact) -> list[Held]:
    """All weights of floats or quantized floats, in the order of the file.

    Raises ValueError, OSError or KeyError when the file is not what its format says.
    """
    match artifact.format:
        case Format.TFJS:
            return list(_of_tfjs(artifact.path))
        case Format.TFLITE:
            return list(_of_tflite(artifact.path, narrowed=artifact.precision is Precision.FLOAT16))
        case Format.SAVED_MODEL:
            return list(_of_saved_model(artifact.path))
        case Format.KERAS:
            return []


def in_other_orders_of_shards(artifact: Artifact) -> Iterator[tuple[str, list[Held]]]:
    """What a TF.js artifact would hold were its shards exchanged, with the order in words."""
    if artifact.format is not Format.TFJS:
        return
    paths = [path for group in _manifest(artifact.path) for path in group["paths"]]
    if not 2 <= len(paths) <= _MOST_SHARDS:
        return
    for order in itertools.permutations(paths):
        if list(order) != paths:
            yield " ".join(order), list(_of_tfjs(artifact.path, dict(zip(paths, order, strict=True))))


def _manifest(folder: Path) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = json.loads((folder / "model.json").read_text())["weightsManifest"]
    return groups


def _of_tfjs(folder: Path, exchanged: Mapping[str, str] | None = None) -> Iterator[Held]:
    for group in _manifest(folder):
        content = b"".join((folder / (exchanged or {}).get(path, path)).read_bytes() for path in group["paths"])
        at = 0
        for weight in group["weights"]:
            quantized = weight.get("quantization", {})
            stored = np.dtype(quantized.get("dtype", weight["dtype"] if weight["dtype"] != "bool" else "uint8"))
            count = math.prod(weight["shape"])
            raw = np.frombuffer(content, stored, count, offset=at).reshape(weight["shape"])
            at += count * stored.itemsize
            if weight["dtype"] != "float32":
                continue
            if "scale" in quantized:
                values = raw.astype(np.float64) * quantized["scale"] + quantized["min"]
                yield Held(name=weight["name"], values=values, step=quantized["scale"] / 2)
            else:
                values = raw.astype(np.float64)
                yield Held(name=weight["name"], values=values, step=_float16_step(values, stored))


def _of_tflite(file: Path, *, narrowed: bool) -> Iterator[Held]:
    """Of a file whose constants were `narrowed` those in float32 may be halves, too, which were widened in it."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(file.read_bytes(), 0)
    types = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}
    integers = {schema.TensorType.INT8: np.int8, schema.TensorType.UINT8: np.uint8, schema.TensorType.INT32: np.int32}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            content = model.buffers[tensor.buffer].data
            if content is None or len(content) == 0:
                continue
            shape = () if tensor.shape is None else tuple(tensor.shape)
            name = tensor.name.decode()
            if tensor.type in types:
                values = np.frombuffer(bytes(content), types[tensor.type]).reshape(shape).astype(np.float64)
                stored = np.dtype(np.float16 if narrowed and all_halves(values) else types[tensor.type])
                yield Held(name=name, values=values, step=_float16_step(values, stored))
            quantization = tensor.quantization
            if tensor.type in integers and quantization is not None and quantization.scale is not None:
                codes = np.frombuffer(bytes(content), integers[tensor.type]).reshape(shape).astype(np.float64)
                scale = _along(np.asarray(quantization.scale, np.float64), quantization.quantizedDimension, codes.ndim)
                zero = _along(
                    np.asarray(quantization.zeroPoint, np.float64), quantization.quantizedDimension, codes.ndim
                )
                yield Held(
                    name=name, values=(codes - zero) * scale, step=np.broadcast_to(scale / 2, codes.shape).astype(float)
                )


def _of_saved_model(folder: Path) -> Iterator[Held]:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    for name in sorted(reader.get_variable_to_shape_map()):
        values = reader.get_tensor(name)
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            yield Held(name=name, values=values.astype(np.float64))


def _float16_step(values: NDArray[np.float64], stored: np.dtype[Any]) -> NDArray[np.float64] | float:
    return np.abs(values) * 2.0**-11 + 2.0**-25 if stored == np.float16 else 0.0


def _along(values: NDArray[np.float64], axis: int, dimensions: int) -> NDArray[np.float64]:
    """Shaped to broadcast along one axis."""
    if values.size == 1:
        return values.reshape((1,) * dimensions)
    shape = [1] * dimensions
    shape[axis] = values.size
    return values.reshape(shape)
