"""The trained Keras model taken apart: every operation of every layer, by the name that exporting gives it.

Exporting traces the model into a graph, and the converters keep the names of its operations. So the model is traced in
the same way here, while each layer's `call` is watched: that says whose an operation is, in layers that are shared,
nested or written by hand as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.layer_of_node import LayerNames
from export.saved_model_from_keras import named_outputs, structure_of_inputs
from pipeline.core.signature import Tensors, TensorSpec

Change = Literal["training"]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of the trained model; `name` is that of its first output, `layer` the innermost that made it."""

    name: str
    op: str
    layer: str
    inputs: tuple[str, ...]
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One call of a layer, by the names of the layers around it: `encoder/query`, `shared (call 2)`.

    `gives` names its output where that is a single tensor, `takes` its first input; `scope` is the name that its
    operations begin with.
    """

    name: str
    kind: str
    scope: str
    takes: str | None
    gives: str | None
    weighted: bool


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """Operations in the order in which they run, layers in the order in which they finish, answers by output name.

    `placeholders` are the operations that the samples are fed through, by input name.
    """

    model: str
    operations: tuple[Operation, ...]
    layers: tuple[Layer, ...]
    answers: Mapping[str, str]
    placeholders: Mapping[str, str]

    @cached_property
    def fed(self) -> frozenset[str]:
        """The inputs, and the operations that depend on them: the others are weights, and what is made of them."""
        fed = set(self.placeholders.values())
        for operation in self.operations:
            if not fed.isdisjoint(operation.inputs):
                fed.add(operation.name)
        return frozenset(fed)

    @cached_property
    def by_name(self) -> Mapping[str, Operation]:
        return {operation.name: operation for operation in self.operations}

    @cached_property
    def position(self) -> Mapping[str, int]:
        return {operation.name: position for position, operation in enumerate(self.operations)}

    @cached_property
    def layer_names(self) -> LayerNames:
        return LayerNames(
            model=self.model, layers=frozenset(part for layer in self.layers for part in layer.name.split("/"))
        )

    def layer(self, name: str) -> Layer | None:
        return next((layer for layer in self.layers if layer.name == name), None)

    def between(self, name: str, stops: frozenset[str]) -> tuple[Operation, ...]:
        """The operations that make `name` out of the nearest stops, in order, its own last."""
        wanted: set[str] = set()
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current in wanted or (current in stops and current != name):
                continue
            wanted.add(current)
            operation = self.by_name.get(current)
            waiting.extend(() if operation is None else operation.inputs)
        return tuple(operation for operation in self.operations if operation.name in wanted)


@dataclass(frozen=True, kw_only=True, eq=False)
class ExportedGraph:
    """The graph that the anatomy is of: its definition, and the variables that it reads, by full tensor name."""

    definition: Any
    placeholders: Mapping[str, str]
    captured: Mapping[str, Any]


@dataclass(kw_only=True)
class _Watch:
    """What is seen while the model is traced."""

    owners: dict[str, str] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    around: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """A Keras model that can be asked for any tensor inside it.

    `output_names` are those of the signature; so are `inputs`, which a subclassed model does not say itself.
    """

    model: Any
    output_names: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]

    @cached_property
    def anatomy(self) -> Anatomy:
        watch, graph, answers, placeholders, _ = self._traced
        return Anatomy(
            model=self.model.name,
            operations=tuple(
                Operation(
                    name=operation.name,
                    op=operation.type,
                    layer=watch.owners[operation.name],
                    inputs=tuple(_name(tensor) for tensor in operation.inputs),
                    dtype=operation.outputs[0].dtype.name,
                    shape=_shape(operation.outputs[0]),
                )
                for operation in graph.get_operations()
                if operation.name in watch.owners and operation.outputs
            ),
            layers=tuple(watch.layers),
            answers=answers,
            placeholders=placeholders,
        )

    @cached_property
    def exported_graph(self) -> ExportedGraph:
        _, graph, _, placeholders, _ = self._traced
        return ExportedGraph(
            definition=graph.as_graph_def(),
            placeholders=placeholders,
            captured={inner.name: outer for outer, inner in graph.captures},
        )

    @cached_property
    def _traced(self) -> tuple[_Watch, Any, dict[str, str], dict[str, str], Any]:
        """What was watched, the graph, its answers and inputs by name, and the function that keeps it alive."""
        watch = _Watch()
        seen: list[tuple[Any, dict[str, str], dict[str, str]]] = []

        def trace(**given: Any) -> Any:
            answers = self._call(given, watch, {})
            graph = next(iter(given.values())).graph
            seen.append((graph, *({name: _name(t) for name, t in each.items()} for each in (answers, given))))
            return answers

        function = self._concrete(trace)
        graph, answers, placeholders = seen[-1]
        return watch, graph, answers, placeholders, function

    def values(
        self, names: Sequence[str], samples: Tensors, *, changed: Mapping[str, Change] | None = None
    ) -> dict[str, NDArray[Any]]:
        """What the named tensors hold for the samples, all in one batch.

        `changed` layers run as in training; the model itself stays as it is.
        """
        import tensorflow as tf

        # A normalization that runs as in training moves its statistics, and dropout the state of its seed.
        before = [(variable, variable.numpy()) for variable in self._moved_by_training(changed or {})]

        def trace(**given: Any) -> Any:
            graph = next(iter(given.values())).graph
            self._call(given, _Watch(), changed or {})
            return [graph.get_tensor_by_name(_tensor_name(name)) for name in names]

        try:
            answers = self._concrete(trace)(**{name: tf.constant(array) for name, array in samples.items()})
        finally:
            for variable, value in before:
                variable.assign(value)
        return {name: np.asarray(answer) for name, answer in zip(names, answers, strict=True)}

    def _moved_by_training(self, changed: Mapping[str, Change]) -> list[Any]:
        return list(self.model.non_trainable_variables) if "training" in changed.values() else []

    def _concrete(self, trace: Callable[..., Any]) -> Any:
        import tensorflow as tf

        specs = {spec.name: tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in self.inputs}
        return tf.function(trace, autograph=False).get_concrete_function(**specs)

    def _call(self, given: Mapping[str, Any], watch: _Watch, changed: Mapping[str, Change]) -> Mapping[str, Any]:
        with _watched(self.model, watch, changed):
            return self.call(given)

    def call(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the model answers to tensors by input name, by output name: eagerly, or in whatever graph is traced."""
        import keras

        structure = structure_of_inputs(self.model, tuple(spec.name for spec in self.inputs))
        feed = keras.tree.map_structure(given.__getitem__, structure)
        return named_outputs(self.model(feed, training=False), self.output_names)


@contextmanager
def _watched(model: Any, watch: _Watch, changed: Mapping[str, Change]) -> Iterator[None]:
    layers = list(model._flatten_layers())  # noqa: SLF001  # Keras's own way to every layer, nested ones too
    try:
        for layer in layers:
            # Past Keras's __setattr__, which would track it as part of the model.
            object.__setattr__(layer, "call", _watching(layer, layer.call, watch, changed, top=layer is model))
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("call", None)


def _watching(
    layer: Any, call: Callable[..., Any], watch: _Watch, changed: Mapping[str, Change], *, top: bool
) -> Callable[..., Any]:
    import functools

    import tensorflow as tf

    @functools.wraps(call)
    def watched(*args: Any, **kwargs: Any) -> Any:
        graph = tf.compat.v1.get_default_graph()
        before = len(graph.get_operations())
        path = "" if top else "/".join([*watch.around, layer.name])
        watch.calls[path] = watch.calls.get(path, 0) + 1
        name = path if watch.calls[path] == 1 else f"{path} (call {watch.calls[path]})"
        if not top:
            watch.around.append(layer.name)
        try:
            answer = call(*args, **_with_training(kwargs, changed, name))
        finally:
            if not top:
                watch.around.pop()
        for operation in graph.get_operations()[before:]:
            watch.owners.setdefault(operation.name, name)
        if not top:
            watch.layers.append(
                Layer(
                    name=name,
                    kind=type(layer).__name__,
                    scope=tf.get_current_name_scope(),
                    takes=_single(args),
                    gives=_single((answer,)),
                    weighted=bool(layer.weights),
                )
            )
        return answer

    return watched


def _with_training(kwargs: Mapping[str, Any], changed: Mapping[str, Change], name: str) -> dict[str, Any]:
    return {**kwargs, "training": True} if changed.get(name) == "training" else dict(kwargs)


def _single(values: Sequence[Any]) -> str | None:
    import tensorflow as tf

    return _name(values[0]) if values and tf.is_tensor(values[0]) else None


def _name(tensor: Any) -> str:
    """The operation's name for a first output, `name:1` for the second."""
    name: str = tensor.name
    return name.removesuffix(":0")


def _tensor_name(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _shape(tensor: Any) -> tuple[int | None, ...] | None:
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
