"""The signatures of a SavedModel, read from its file: for models made elsewhere, and to check what was written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.errors import ModelFailed
from pipeline.core.signature import Signature, TensorSpec

_MODEL_FILE = "saved_model.pb"
_TAG = "serve"
# Written by TensorFlow itself, to run initializers; no client calls it.
_OWN_SIGNATURE = "__saved_model_init_op"


def signatures_of_saved_model(folder: Path) -> Mapping[str, Signature]:
    """Every signature that a server would offer, by name, inputs and outputs sorted by theirs. Nothing is loaded.

    Raises ModelFailed when the folder holds no SavedModel with the tag `serve`, or a signature that cannot be compared:
    one with sparse or ragged tensors, or with a tensor of unknown rank.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    file = folder / _MODEL_FILE
    if not file.is_file():
        raise ModelFailed(f"{folder} is not a SavedModel: it has no {_MODEL_FILE}", hint="give the version's folder")
    try:
        content = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    except DecodeError as error:
        raise ModelFailed(f"{file} cannot be read: {error}", hint="it is damaged: export or copy it again") from error
    for meta_graph in content.meta_graphs:
        if _TAG in meta_graph.meta_info_def.tags:
            return {
                name: Signature(
                    name=name,
                    inputs=_specs(definition.inputs, folder, name),
                    outputs=_specs(definition.outputs, folder, name),
                )
                for name, definition in sorted(meta_graph.signature_def.items())
                if name != _OWN_SIGNATURE
            }
    tags = [sorted(meta_graph.meta_info_def.tags) for meta_graph in content.meta_graphs]
    raise ModelFailed(f"{folder} has no graph for the tag `{_TAG}`, only {tags}", hint="export it for serving")


def _specs(tensors: Mapping[str, Any], folder: Path, signature: str) -> tuple[TensorSpec, ...]:
    import tensorflow as tf

    specs = []
    for name, info in sorted(tensors.items()):
        encoding = info.WhichOneof("encoding")
        if encoding != "name" or info.tensor_shape.unknown_rank:
            what = "of unknown rank" if encoding == "name" else f"a {encoding}, not a dense tensor"
            raise ModelFailed(
                f"{folder}: `{name}` of the signature `{signature}` is {what}",
                hint="export the model with dense inputs and outputs whose rank is known",
            )
        sizes = (dimension.size for dimension in info.tensor_shape.dim)
        specs.append(
            TensorSpec(
                name=name,
                dtype=tf.as_dtype(info.dtype).name,
                shape=tuple(None if size < 0 else int(size) for size in sizes),
            )
        )
    return tuple(specs)
