"""A Keras model parted behind layers: the part that answers, with inputs named after them, and the part in front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from export.layer_cut import LayerCut
from export.layer_graph import functional_of, given_tensor, layer_of_tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Parted:
    """Two models of the same layers and weights. `front` takes what the whole takes and gives, in a list, what `behind`
    takes first: the layers' answers, in the order of the cut. What `behind` takes after that are inputs of the whole.
    """

    front: Any
    behind: Any


def parted(model: Any, cut: LayerCut) -> Parted:
    """Part a functional or Sequential model of Keras 3 or tf-keras. The outputs keep their structure and names."""
    import keras

    whole = functional_of(model)
    if whole is None:
        raise TypeError(f"{model.name} has no graph of layers")
    if isinstance(model, keras.Model):
        kind: Any = keras
    else:
        import tf_keras

        kind = tf_keras
    given = [given_tensor(model, name) for name in cut.after]
    kept = [tensor for tensor in whole.inputs if layer_of_tensor(tensor) in cut.kept]
    # Keras makes inputs of its own for the tensors of a layer, with names that mean nothing; these are named after it.
    inputs = [
        kind.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)
        for name, tensor in zip(cut.after, given, strict=True)
    ]
    unnamed = kind.Model([*given, *kept], whole.output, name=model.name)
    behind = kind.models.clone_model(unnamed, input_tensors=[*inputs, *kept], clone_function=lambda layer: layer)
    return Parted(front=kind.Model(whole.input, given, name=f"{model.name}_front"), behind=behind)
