"""The batch dimension of a Keras model's inputs, which a Sequential model without an Input has of its training data."""

from __future__ import annotations

from typing import Any


def open_sizes(model: Any, sizes: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The sizes of an input with its batch dimension as the model means it, `model` being of Keras 3 or tf-keras.

    A Sequential model that was built by the first batch of its training says that batches are of 32, takes all others,
    and does not say whether somebody meant it. A layer that remembers (`stateful`) is meant.
    """
    if not is_sequential(model) or not sizes or any(getattr(layer, "stateful", False) for layer in every_layer(model)):
        return sizes
    return (None, *sizes[1:])


def is_sequential(model: Any) -> bool:
    """Whether a model is a Sequential one, of Keras 3 or tf-keras."""
    return any(kind.__name__ == "Sequential" for kind in type(model).__mro__)


def every_layer(model: Any) -> list[Any]:
    """All layers, those of nested models included."""
    if not hasattr(model, "_flatten_layers"):
        return []
    return list(model._flatten_layers(include_self=False, recursive=True))  # noqa: SLF001  # both Kerases have it
