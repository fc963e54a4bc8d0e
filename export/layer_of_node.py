"""Which Keras layer a node of an exported graph comes from, told from its name: Keras opens a scope for each layer.

Keras 3 writes a scope with a suffix, `functional_1/dense_1/MatMul` for the layer `dense` of the model `functional`, and
a second suffix for a layer called `dense_1`. tf-keras and Keras 2 write the plain names. Which of the two it is shows
in the scope of the model itself. Calls of functions put `StatefulPartitionedCall/` in front once they are inlined.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CALLS = re.compile(r"(Stateful)?PartitionedCall(_\d+)?")
_SUFFIX = re.compile(r"_\d+$")


@dataclass(frozen=True, kw_only=True)
class LayerNames:
    """The name of a model and of every layer in it, those of submodels and of wrapped layers included."""

    model: str
    layers: frozenset[str]


def layer_names_of_keras(file: Path) -> LayerNames:
    """The names in a `.keras` file. Only its configuration is read; nothing of it is run."""
    with zipfile.ZipFile(file) as archive:
        config = json.loads(archive.read("config.json"))
    names = list(_names(config))
    return LayerNames(model=str(config["config"].get("name", "")), layers=frozenset(names))


def layer_of_node(node: str, names: LayerNames | None = None) -> str:
    """The layer's path, `encoder/dense` for a layer of a submodel, or an empty string for a node that no layer made.

    Without `names`, or for scopes that they do not hold, the scopes stand as they are in the graph.
    """
    scopes = [scope for scope in node.removeprefix("^").split(":")[0].split("/")[:-1] if not _CALLS.fullmatch(scope)]
    if names is None:
        return "/".join(scopes)
    for position, scope in enumerate(scopes):
        if scope == names.model:
            return "/".join(_path(scopes[position + 1 :], names, suffixed=False))
        if _SUFFIX.sub("", scope) == names.model:
            return "/".join(_path(scopes[position + 1 :], names, suffixed=True))
    return "/".join(scopes)


def _path(scopes: list[str], names: LayerNames, *, suffixed: bool) -> Iterator[str]:
    for scope in scopes:
        plain = _SUFFIX.sub("", scope)
        if suffixed and plain in names.layers:
            yield plain
        elif scope in names.layers:
            yield scope
        elif plain in names.layers:
            # A layer that is used twice has a suffix for its second use whatever the style.
            yield plain
        else:
            # What follows are scopes inside the layer, such as `einsum` or `batchnorm`.
            return


def _names(config: Any) -> Iterator[str]:
    """Every `name` beside a `class_name`, at any depth: layers of submodels and wrapped layers are nested."""
    match config:
        case {"class_name": str(), "config": dict() as inner}:
            if isinstance(inner.get("name"), str):
                yield inner["name"]
            yield from _names(inner)
        case dict():
            for value in config.values():
                yield from _names(value)
        case list():
            for value in config:
                yield from _names(value)
        case _:
            return
