"""The trained model's graph, run with one operation changed: what comes before the change is computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from export.keras_interface import legal_names, named_answers
from export.layer_graph import calls_of
from pipeline.core.signature import Tensors

Call: TypeAlias = Callable[..., Any]
"""What is called in an operation's place, with its arguments."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """One operation of the graph: its number in the order of computing, and the layer."""

    number: int
    layer: Any

    @property
    def name(self) -> str:
        return str(self.layer.name)


class Graph:
    """A Keras model, answering for one set of samples. Only its outermost layers can be changed.

    What the layers named in `limits` answer is held between lowest and highest, as quantized ranges do.
    """

    def __init__(
        self,
        model: Any,
        output_names: Sequence[str],
        samples: Tensors,
        *,
        limits: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self._limits = limits or {}
        # A Sequential model keeps its graph in an attribute without a public name.
        self._function = getattr(model, "_functional", None) or model
        self._outputs = tuple(output_names)
        self._nodes = [node for node in calls_of(self._function) if node.operation is not None and not node.is_input]
        self._calls = {number: _traced_where_slow(node.operation) for number, node in enumerate(self._nodes)}
        self._values: dict[int, Any] = {}
        self.feed(samples)

    def feed(self, samples: Tensors) -> None:
        """Take other samples, and answer for these from now on."""
        import tensorflow as tf

        taken = self._function.inputs
        names = legal_names([tensor.name for tensor in taken])
        self._values = {
            id(tensor): tf.constant(np.asarray(samples[name])) for name, tensor in zip(names, taken, strict=True)
        }
        self._compute(self._values, {})

    @property
    def places(self) -> list[Place]:
        return [Place(number=number, layer=node.operation) for number, node in enumerate(self._nodes)]

    def value_at(self, number: int) -> Any:
        """What the operation answers, unchanged, as an array; the first of several."""
        return np.asarray(self._values[id(self._nodes[number].outputs[0])])

    def only_consumer(self, number: int) -> Place | None:
        """The one operation that takes what this one answers, or None when several do."""
        made = {id(tensor) for tensor in self._nodes[number].outputs}
        takers = [
            later for later, node in enumerate(self._nodes) if any(id(tensor) in made for tensor in node.input_tensors)
        ]
        return Place(number=takers[0], layer=self._nodes[takers[0]].operation) if len(takers) == 1 else None

    def answers(self, changes: Mapping[int, Call] | None = None) -> dict[str, Any]:
        """The outputs by name, with the operations of these numbers replaced."""
        values = dict(self._values)
        if changes:
            first = min(changes)
            stale = {id(tensor) for number in range(first, len(self._nodes)) for tensor in self._nodes[number].outputs}
            kept = {key: value for key, value in values.items() if key not in stale}
            self._compute(kept, changes, start=first)
            values = kept
        return self._named(values)

    def _compute(self, values: dict[int, Any], changes: Mapping[int, Call], *, start: int = 0) -> None:
        from keras import ops, tree

        for number, node in enumerate(self._nodes[start:], start=start):
            args, kwargs = node.arguments.fill_in(values)
            answer = changes.get(number, self._calls[number])(*args, **kwargs)
            # Of several answers nothing says whose the range is.
            ends = self._limits.get(node.operation.name) if len(node.outputs) == 1 else None
            for tensor, value in zip(node.outputs, tree.flatten(answer), strict=True):
                values[id(tensor)] = value if ends is None else ops.clip(value, *ends)

    def _named(self, values: Mapping[int, Any]) -> dict[str, Any]:
        from keras import tree

        # The names of a dictionary of outputs, and of what lies deeper, are those that the signature was given.
        structure = self._function._outputs_struct  # noqa: SLF001
        answers = tree.map_structure(lambda tensor: values[id(tensor)], structure)
        return {name: np.asarray(value) for name, value in named_answers(answers, self._outputs).items()}


def has_layers(model: Any) -> bool:
    """Whether the model is a graph of layers: functional or Sequential, not one that is a class with a call."""
    return hasattr(getattr(model, "_functional", None) or model, "_nodes_by_depth")


def _traced_where_slow(operation: Any) -> Call:
    """The operation as a graph of its own where calling it takes long: a model within the model, a grouped convolution.

    Keras compiles each grouped convolution anew, with XLA, at every call outside of a graph: minutes for one answer of
    a ConvNeXt.
    """
    import keras
    import tensorflow as tf

    slow = isinstance(operation, keras.Model) or getattr(operation, "groups", 1) != 1
    traced: Call = tf.function(operation) if slow else operation
    return traced
