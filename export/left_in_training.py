"""Layers of a Keras model that are called with `training=True`, which predict() does not do."""

from __future__ import annotations

from typing import Any

from export.layer_graph import calls_of, functional_of, layer_of


def left_in_training(model: Any) -> tuple[str, ...]:
    """The names of such layers in a functional or Sequential model of Keras 3, those inside submodels after their own.

    Keras 3 hands predict's `training=False` through to them; model(x) and model.export() leave them in training. Empty
    for tf-keras, where they stay in training always, and for subclassed models, whose code alone knows.
    """
    whole = functional_of(model)
    if whole is None or type(whole).__module__.startswith("tf_keras"):
        return ()
    found: dict[str, None] = {}
    for node in calls_of(whole):
        layer = layer_of(node)
        arguments = getattr(node, "arguments", None)
        if arguments is not None and arguments.kwargs.get("training") is True:
            found[str(layer.name)] = None
        found |= dict.fromkeys(f"{layer.name}/{inner}" for inner in left_in_training(layer))
    return tuple(found)
