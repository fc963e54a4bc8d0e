"""What may have become of the layers that a piece was fused from: each a change of the trained graph, to be compared.

Something is missing, a branch does not arrive, two layers come in the other order, or another operation stands there.
They are made of what the graph is, operation by operation, so that a sum written by hand is no different from `Add`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.explain.explanation import Manner
from pipeline.explain.surgery import Bench, Rewire
from pipeline.explain.trained import Anatomy, Layer, Operation

_ACTIVATIONS = frozenset({"Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign"})
_STAND_INS = ("relu", "relu6", "sigmoid", "tanh", "elu", "silu", "gelu", "softplus", "hard_sigmoid")
_SLOPES = (0.01, 0.1, 0.2, 0.3)
_MERGES = {
    "AddV2": "add",
    "Add": "add",
    "Sub": "subtract",
    "Mul": "multiply",
    "Maximum": "maximum",
    "Minimum": "minimum",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Alternative:
    """A change in one layer; `how` is a sentence, or empty where the manner says it all."""

    layer: str
    manner: Manner
    how: str
    rewire: Rewire


def alternatives(between: Sequence[Operation], layers: Sequence[Layer], anatomy: Anatomy) -> Iterator[Alternative]:
    """Everything that can be tried on the operations `between`, which belong to these layers; the simplest first."""
    for operation in reversed(between):
        reads = [name for name in operation.inputs if name in anatomy.fed]
        if not reads or not operation.dtype.startswith(("float", "bfloat")):
            continue
        # Where the others are weights, the one that is left is all there is.
        whole = len(reads) == len(operation.inputs) or operation.op.startswith("Concat")
        if len(reads) > 1 and whole:
            yield from _branches(operation, reads)
        elif len(reads) == 1:
            yield _missing(operation, reads[0])
    yield from _skipped(layers)
    yield from _exchanged(layers)
    for operation in between:
        reads = [name for name in operation.inputs if name in anatomy.fed]
        if len(reads) == 2 and len(operation.inputs) == 2 and operation.op in _MERGES:
            yield from _other_merges(operation, reads)
        elif len(reads) == 1 and operation.op in _ACTIVATIONS:
            yield from _other_activations(operation, reads[0])
    yield from _other_functions(layers)


def _missing(operation: Operation, read: str) -> Alternative:
    def rewire(bench: Bench) -> Any:
        return bench.with_replaced({operation.name: bench.tensor(read)})

    return Alternative(layer=_owner(operation), manner="missing", how="", rewire=rewire)


def _skipped(layers: Sequence[Layer]) -> Iterator[Alternative]:
    for layer in layers:
        takes, gives = layer.takes, layer.gives
        if takes is not None and gives is not None and takes != gives:
            yield Alternative(layer=layer.name, manner="missing", how="", rewire=_passing(gives, takes))


def _passing(gives: str, takes: str) -> Rewire:
    return lambda bench: bench.with_replaced({gives: bench.tensor(takes)})


def _branches(operation: Operation, reads: Sequence[str]) -> Iterator[Alternative]:
    import tensorflow as tf

    for position, name in enumerate(reads):
        which = f"of its {len(reads)} inputs only number {position + 1} arrives"
        yield Alternative(layer=_owner(operation), manner="branch", how=which, rewire=_passing(operation.name, name))
    for position, name in enumerate(reads):
        if operation.name == name:
            continue
        which = f"input {position + 1} of its {len(reads)} arrives as zeros"

        def rewire(bench: Bench, name: str = name) -> Any:
            # Only here: elsewhere in the piece the tensor may be right.
            return bench.with_replaced(
                {operation.name: bench.again(operation.name, {name: tf.zeros_like(bench.tensor(name))})}
            )

        yield Alternative(layer=_owner(operation), manner="branch", how=which, rewire=rewire)


def _exchanged(layers: Sequence[Layer]) -> Iterator[Alternative]:
    """Two layers that follow each other, in the other order; the one with weights is the one that is misplaced."""
    for first in layers:
        for second in layers:
            if first.gives is None or second.gives is None or first.takes is None or second.takes != first.gives:
                continue
            misplaced = second if second.weighted and not first.weighted else first
            yield Alternative(
                layer=misplaced.name,
                manner="reordered",
                how=f"`{first.name}` comes after `{second.name}` instead of before it",
                rewire=_reordered(first.takes, first.gives, second.gives),
            )


def _reordered(taken: str, between: str, given: str) -> Rewire:
    def rewire(bench: Bench) -> Any:
        second = bench.tensor(given, {between: bench.tensor(taken)})
        first = bench.tensor(between, {taken: second})
        return bench.with_replaced({given: first})

    return rewire


def _other_merges(operation: Operation, reads: Sequence[str]) -> Iterator[Alternative]:
    import tensorflow as tf

    functions: Mapping[str, Callable[[Any, Any], Any]] = {
        "add": tf.add,
        "subtract": tf.subtract,
        "multiply": tf.multiply,
        "maximum": tf.maximum,
        "minimum": tf.minimum,
        "subtract in reverse order": lambda x, y: tf.subtract(y, x),
    }
    for name, function in functions.items():
        if name != _MERGES[operation.op]:

            def rewire(bench: Bench, function: Callable[[Any, Any], Any] = function) -> Any:
                return bench.with_replaced({operation.name: function(*map(bench.tensor, reads))})

            how = f"`{name}` stands where its `{operation.op}` is due"
            yield Alternative(layer=_owner(operation), manner="replaced", how=how, rewire=rewire)


def _other_activations(operation: Operation, read: str) -> Iterator[Alternative]:
    for name, function in _functions().items():
        how = f"`{name}` stands where its `{operation.op}` is due"
        yield Alternative(
            layer=_owner(operation), manner="replaced", how=how, rewire=_applying(function, read, operation.name)
        )


def _other_functions(layers: Sequence[Layer]) -> Iterator[Alternative]:
    """Other activations in a layer's place that has no weights: it may be an activation of several operations."""
    for layer in layers:
        if layer.weighted or layer.takes is None or layer.gives is None or layer.takes == layer.gives:
            continue
        for name, function in _functions().items():
            how = f"`{name}` stands where its {layer.kind} is due"
            yield Alternative(
                layer=layer.name, manner="replaced", how=how, rewire=_applying(function, layer.takes, layer.gives)
            )


def _applying(function: Callable[[Any], Any], read: str, made: str) -> Rewire:
    return lambda bench: bench.with_replaced({made: function(bench.tensor(read))})


def _functions() -> Mapping[str, Callable[[Any], Any]]:
    import keras

    functions: dict[str, Callable[[Any], Any]] = {name: keras.activations.get(name) for name in _STAND_INS}
    functions["gelu by tanh"] = functools.partial(keras.activations.gelu, approximate=True)
    for slope in _SLOPES:
        functions[f"leaky_relu({slope:g})"] = functools.partial(keras.activations.leaky_relu, negative_slope=slope)
    return functions


def _owner(operation: Operation) -> str:
    return operation.layer or operation.name
