"""Which layer of a Keras model takes what from which: the graph of a functional or Sequential model, and cuts in it.

A submodel counts as one layer. Operations that are no layers (`x * 2`, `keras.ops`) are in it like layers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from export.layer_of_node import LayerNames


@dataclass(frozen=True, kw_only=True)
class Place:
    """One layer. `takes` are the layers that feed it, `gives` how many tensors it gives, `calls` how often it is used.

    `within` are the names of the layers inside it, where it is a submodel.
    """

    name: str
    takes: tuple[str, ...]
    gives: int = 1
    calls: int = 1
    within: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LayerGraph:
    """All layers, those that feed others first. `inputs` and `outputs` name layers, in the model's own order."""

    model: str
    places: tuple[Place, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def layer_names(self) -> LayerNames:
        """Every name that the scopes of an exported graph are made of."""
        every = {name for place in self.places for name in (place.name, *place.within)}
        return LayerNames(model=self.model, layers=frozenset(every))

    def place(self, name: str) -> Place:
        """Raises KeyError when there is none of that name."""
        return self._by_name()[name]

    def behind(self, cut: Collection[str]) -> frozenset[str]:
        """What the outputs still need when the layers of the cut are given: without these, with inputs of the model."""
        return self._upstream((name for name in self.outputs if name not in cut), stop=cut)

    def in_front(self, cut: Iterable[str]) -> frozenset[str]:
        """What the layers of the cut depend on, these layers included."""
        return self._upstream(cut, stop=())

    def takers(self, name: str, among: Collection[str]) -> list[str]:
        """The layers among these that take what `name` gives."""
        return [place.name for place in self.places if place.name in among and name in place.takes]

    def _upstream(self, start: Iterable[str], *, stop: Collection[str]) -> frozenset[str]:
        by_name = self._by_name()
        waiting, seen = list(start), set[str]()
        while waiting:
            name = waiting.pop()
            if name not in seen and name not in stop:
                seen.add(name)
                waiting += by_name[name].takes
        return frozenset(seen)

    def _by_name(self) -> dict[str, Place]:
        return {place.name: place for place in self.places}


def layer_graph(model: Any) -> LayerGraph | None:
    """The graph of a model of Keras 3 or tf-keras; None for one that has none, such as a subclassed model."""
    whole = functional_of(model)
    if whole is None:
        return None
    nodes: dict[str, list[Any]] = {}
    for node in calls_of(whole):
        nodes.setdefault(layer_of(node).name, []).append(node)
    return LayerGraph(
        model=str(model.name),
        places=tuple(_place(name, own) for name, own in nodes.items()),
        inputs=tuple(layer_of_tensor(tensor) for tensor in whole.inputs),
        outputs=tuple(layer_of_tensor(tensor) for tensor in whole.outputs),
    )


def functional_of(model: Any) -> Any | None:
    """The functional model that a model is, or that a Sequential model of Keras 3 holds; None where there is none."""
    whole = getattr(model, "_functional", None) or model
    return whole if getattr(whole, "_nodes_by_depth", None) else None


def calls_of(functional: Any) -> list[Any]:
    """The nodes of a functional model, one for each call of a layer, in the order of computing."""
    by_depth = functional._nodes_by_depth  # noqa: SLF001  # both Kerases have it, and no other way
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def layer_of_tensor(tensor: Any) -> str:
    """The name of the layer that gives a symbolic tensor."""
    # `operation` in Keras 3, `layer` in tf-keras.
    return str(tensor._keras_history[0].name)  # noqa: SLF001


def given_tensor(model: Any, layer: str) -> Any:
    """The one symbolic tensor that a layer of the model gives. The layer is used once, and gives one."""
    nodes = calls_of(functional_of(model))
    (tensor,) = (tensor for node in nodes if layer_of(node).name == layer for tensor in _given(node))
    return tensor


def _place(name: str, nodes: Sequence[Any]) -> Place:
    layer = layer_of(nodes[0])
    takes = dict.fromkeys(layer_of(parent).name for node in nodes for parent in node.parent_nodes)
    inner = [one.name for one in layer._flatten_layers(include_self=False)] if hasattr(layer, "_flatten_layers") else []  # noqa: SLF001
    return Place(
        name=name, takes=tuple(takes), gives=len(_given(nodes[0])), calls=len(nodes), within=tuple(dict.fromkeys(inner))
    )


def layer_of(node: Any) -> Any:
    """The layer, or operation, whose call a node of the graph is."""
    return node.operation if hasattr(node, "operation") else node.layer


def _given(node: Any) -> list[Any]:
    import tensorflow as tf

    return list(node.output_tensors) if hasattr(node, "operation") else tf.nest.flatten(node.outputs)
