"""The signatures of a SavedModel, read from its file: for models made elsewhere, and to check what was written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.errors import ModelFailed
from pipeline.core.signature import Signature, TensorSpec

_MODEL_FILE = "saved_model.pb"
_TAG = "serve"
_ONE_GRAPH = (
    "write that graph by itself: loaded = tf.saved_model.load('{folder}', tags={tags}); "
    "tf.saved_model.save(loaded, 'served', signatures=loaded.signatures)"
)
# Written by TensorFlow itself, to run initializers; no client calls it.
_OWN_SIGNATURE = "__saved_model_init_op"


def signatures_of_saved_model(folder: Path) -> Mapping[str, Signature]:
    """Every signature that a server would offer, by name, inputs and outputs sorted by theirs. Nothing is loaded.

    Raises as `definitions_in` and `signature_from` do.
    """
    return {name: signature_from(definition, folder, name) for name, definition in definitions_in(folder).items()}


def definitions_in(folder: Path) -> Mapping[str, Any]:
    """The SignatureDef of every signature that a server would offer, by name: those that nobody could compare, too.

    Raises ModelFailed when the folder holds no SavedModel of one graph with the tag `serve` and no other.
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
    tags = [sorted(meta_graph.meta_info_def.tags) for meta_graph in content.meta_graphs]
    if not any(_TAG in one for one in tags):
        raise ModelFailed(f"{folder} has no graph for the tag `{_TAG}`, only {tags}", hint="export it for serving")
    if tags != [[_TAG]]:
        raise ModelFailed(
            f"{folder} has graphs with the tags {tags}: servers and TFLite's converter want one of `{_TAG}` alone",
            hint=_ONE_GRAPH.format(folder=folder, tags=next(one for one in tags if _TAG in one)),
        )
    found = sorted(content.meta_graphs[0].signature_def.items())
    return {name: definition for name, definition in found if name != _OWN_SIGNATURE}


def signature_from(definition: Any, folder: Path, name: str) -> Signature:
    """A SignatureDef as a signature, inputs and outputs sorted by name.

    Raises ModelFailed for one that cannot be compared: with sparse or ragged tensors, or one of unknown rank.
    """
    return Signature(
        name=name,
        inputs=_specs(definition.inputs, folder, name),
        outputs=_specs(definition.outputs, folder, name),
    )


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
