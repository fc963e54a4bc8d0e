"""Causes inside the model: what a converter may do wrong to one layer, as calls in that layer's place."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.diagnosis.graph import Call, Graph, Place

_ACTIVATIONS = ("linear", "relu", "relu6", "tanh", "sigmoid", "leaky_relu", "elu", "swish", "gelu", "hard_sigmoid")
_EPSILONS = (1e-3, 1e-5, 1e-2, 1e-1, 1e-4, 1e-7)
_BRANCHES = 4
_SLOPES = (0.0, 0.01, 0.1, 0.2, 0.3, 0.5)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerChange:
    """A fault in one layer: the operations to replace, by number."""

    cause: str
    sentence: str
    calls: Mapping[int, Call]


def changes(graph: Graph) -> Iterator[LayerChange]:
    """Every cause of this kind, layer by layer, the last layer first: most converters go wrong at an end."""
    for place in reversed(graph.places):
        for cause, sentence, call in _of_layer(place.layer):
            yield LayerChange(cause=cause, sentence=f"layer `{place.name}`: {sentence}", calls={place.number: call})
        yield from _reordered(graph, place)


def _of_layer(layer: Any) -> Iterator[tuple[str, str, Call]]:
    yield from _of_activation(layer)
    yield from _of_attributes(layer)
    yield from _of_weights(layer)
    yield from _of_kind(layer)


def _of_activation(layer: Any) -> Iterator[tuple[str, str, Call]]:
    import keras

    own = getattr(layer, "activation", None)
    if not callable(own):
        return
    for name in _ACTIVATIONS:
        other = keras.activations.get(name)
        if other is not own:
            cause = "activation_missing" if name == "linear" else "activation_changed"
            what = (
                f"its activation ({own.__name__}) is missing"
                if name == "linear"
                else f"its activation is {name} instead of {own.__name__}"
            )
            yield cause, what, _with(layer, activation=other)
    by_tanh = functools.partial(keras.activations.gelu, approximate=True)
    if own is keras.activations.gelu:
        yield "activation_changed", "its gelu is the approximation by tanh", _with(layer, activation=by_tanh)


def _of_attributes(layer: Any) -> Iterator[tuple[str, str, Call]]:
    for attribute, values in (
        ("epsilon", _EPSILONS),
        ("negative_slope", _SLOPES),
        ("alpha", _SLOPES),
        ("padding", ("same", "valid")),
    ):
        own = getattr(layer, attribute, None)
        if not isinstance(own, (float, int, str)):
            continue
        for value in values:
            if value != own:
                yield (
                    "wrong_attribute",
                    f"its {attribute} is {value} instead of {own}",
                    _with(layer, **{attribute: value}),
                )
    if hasattr(layer, "max_value"):
        ceiling = layer.max_value
        for other_ceiling in (None, 1.0, 6.0):
            if other_ceiling != ceiling:
                what = f"its max_value is {other_ceiling} instead of {ceiling}"
                yield "wrong_attribute", what, _with(layer, max_value=other_ceiling)
    rate = getattr(layer, "dilation_rate", None)
    if isinstance(rate, tuple):
        other = tuple(2 if one == 1 else 1 for one in rate)
        yield "wrong_attribute", f"its dilation rate is {other} instead of {rate}", _with(layer, dilation_rate=other)


def _of_weights(layer: Any) -> Iterator[tuple[str, str, Call]]:
    for variable in getattr(layer, "weights", ()):
        value = np.asarray(variable)
        if value.dtype.kind != "f" or value.size == 0:
            continue
        name = variable.name
        yield "weights_zeroed", f"its {name} is all zeros", _with_weight(layer, variable, np.zeros_like(value))
        if value.ndim == 2 and value.shape[0] == value.shape[1]:
            yield "weights_transposed", f"its {name} is transposed", _with_weight(layer, variable, value.T)
        if value.ndim == 2 and value.shape[0] != value.shape[1]:
            turned = value.T.reshape(value.shape)
            yield "weights_transposed", f"its {name} is stored transposed", _with_weight(layer, variable, turned)
        if value.ndim == 4 and max(value.shape[:2]) > 1:
            flipped = value[::-1, ::-1]
            yield "weights_flipped", f"its {name} is flipped in space", _with_weight(layer, variable, flipped)
            if value.shape[0] == value.shape[1]:
                turned = value.transpose(1, 0, 2, 3)
                yield (
                    "weights_transposed",
                    f"its {name} has rows and columns swapped",
                    (_with_weight(layer, variable, turned)),
                )


def _of_kind(layer: Any) -> Iterator[tuple[str, str, Call]]:
    import keras

    yield from _of_pooling(layer)
    yield from _of_merges(layer)
    match layer:
        case keras.layers.Flatten() | keras.layers.Reshape():
            yield "axes_transposed_inside", "it flattens channels first", lambda x: layer(_channels_first(x))
            yield "axes_transposed_inside", "it flattens with rows and columns swapped", lambda x: layer(_turned(x))
        case keras.layers.Concatenate() | keras.layers.Subtract():
            yield "operands_swapped", "its inputs come in reverse order", lambda xs: layer(list(xs)[::-1])
        case keras.layers.Resizing():
            for method in ("nearest", "bilinear", "bicubic"):
                if method != layer.interpolation:
                    yield (
                        "wrong_attribute",
                        f"it resizes by {method} instead of {layer.interpolation}",
                        (_with(layer, interpolation=method)),
                    )
        case _:
            pass
    if isinstance(layer, keras.layers.Conv2D) and max(layer.strides) > 1 and layer.padding == "same":
        yield "wrong_attribute", "it pads evenly on both sides, as PyTorch does", _evenly_padded(layer)
    activation = isinstance(layer, _activation_layers())
    yield (
        "activation_missing" if activation else "layer_skipped",
        "it is skipped",
        lambda x, *_, **__: _same_shape(x, layer(x)),
    )


def _activation_layers() -> tuple[type, ...]:
    import keras

    kinds = keras.layers
    return (kinds.ReLU, kinds.LeakyReLU, kinds.ELU, kinds.PReLU, kinds.Softmax, kinds.Activation)


def _of_merges(layer: Any) -> Iterator[tuple[str, str, Call]]:
    """A branch that does not arrive, and another way of putting the branches together."""
    import keras

    kinds = keras.layers
    merges = (kinds.Add, kinds.Multiply, kinds.Subtract, kinds.Average, kinds.Maximum, kinds.Minimum)
    if isinstance(layer, kinds.Concatenate):
        for position in range(_BRANCHES):
            yield "branch_missing", f"input {position + 1} arrives as zeros", _with_zeros(layer, position)
    elif isinstance(layer, merges):
        yield "branch_missing", "only its first input arrives", lambda xs: xs[0]
        yield "branch_missing", "only its last input arrives", lambda xs: xs[-1]
        for kind in merges:
            if not isinstance(layer, kind):
                yield "wrong_operation", f"{kind.__name__} stands in its place", kind()


def _with_zeros(layer: Any, position: int) -> Call:
    import keras

    def call(xs: Any) -> Any:
        zeroed = keras.ops.zeros_like(xs[position])
        return layer([zeroed if at == position else x for at, x in enumerate(xs)])

    return call


def _of_pooling(layer: Any) -> Iterator[tuple[str, str, Call]]:
    import keras

    match layer:
        case keras.layers.MaxPooling2D():
            average = keras.layers.AveragePooling2D(layer.pool_size, layer.strides, layer.padding)
            yield "wrong_operation", "it averages instead of taking the maximum", average
        case keras.layers.AveragePooling2D():
            largest = keras.layers.MaxPooling2D(layer.pool_size, layer.strides, layer.padding)
            yield "wrong_operation", "it takes the maximum instead of the average", largest
        case keras.layers.GlobalAveragePooling2D():
            yield "wrong_operation", "it takes the maximum instead of the average", keras.layers.GlobalMaxPooling2D()
        case _:
            pass


def _reordered(graph: Graph, place: Place) -> Iterator[LayerChange]:
    """A layer and the one after it in reverse order."""
    after = graph.only_consumer(place.number)
    if after is not None and not isinstance(graph.value_at(place.number), list):
        yield LayerChange(
            cause="operations_reordered",
            sentence=f"layers `{place.name}` and `{after.name}` come in reverse order",
            calls={place.number: _in_place(after.layer), after.number: _in_place(place.layer)},
        )


def _with(layer: Any, **attributes: Any) -> Call:
    """A call of the layer as it would be with other settings."""

    def call(*args: Any, **kwargs: Any) -> Any:
        own = {name: getattr(layer, name) for name in attributes}
        try:
            for name, value in attributes.items():
                setattr(layer, name, value)
            return layer.call(*args, **_known(layer.call, kwargs))
        finally:
            for name, value in own.items():
                setattr(layer, name, value)

    return call


def _in_place(layer: Any) -> Call:
    """The layer where another one stands, whose keywords it need not know."""
    return lambda *args, **kwargs: layer(*args, **_known(layer.call, kwargs))


def _with_weight(layer: Any, variable: Any, value: Any) -> Call:
    def call(*args: Any, **kwargs: Any) -> Any:
        with weights_set({variable.path: (variable, value)}):
            return layer(*args, **kwargs)

    return call


@contextmanager
def weights_set(values: Mapping[str, tuple[Any, Any]]) -> Iterator[None]:
    """Variables with other values (by a key of the caller's choice) while the block runs."""
    own = {key: np.asarray(variable).copy() for key, (variable, _) in values.items()}
    try:
        for variable, value in values.values():
            variable.assign(value)
        yield
    finally:
        for key, (variable, _) in values.items():
            variable.assign(own[key])


def _known(call: Callable[..., Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    import inspect

    return {name: value for name, value in kwargs.items() if name in inspect.signature(call).parameters}


def _channels_first(x: Any) -> Any:
    import keras

    if len(x.shape) != 4:
        raise ValueError("no picture")
    return keras.ops.transpose(x, (0, 3, 1, 2))


def _turned(x: Any) -> Any:
    import keras

    if len(x.shape) != 4:
        raise ValueError("no picture")
    return keras.ops.transpose(x, (0, 2, 1, 3))


def _evenly_padded(layer: Any) -> Call:
    import keras

    def call(x: Any) -> Any:
        sides = [(0, 0), *((size // 2, size // 2) for size in layer.kernel_size), (0, 0)]
        return _with(layer, padding="valid")(keras.ops.pad(x, sides))

    return call


def _same_shape(x: Any, answer: Any) -> Any:
    if getattr(x, "shape", None) != answer.shape:
        raise ValueError("its input has another shape than its answer")
    return x
