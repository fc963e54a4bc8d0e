"""The names that the code of a Lambda layer uses: a model's file keeps that code, and nothing that stood around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any


def names_within_reach(given: Mapping[str, Any]) -> None:
    """Let the Lambda layers of files that Keras 3 loads in this process find `given`, and what is usually imported.

    Keras 3.15 looks a Lambda's names up in its own module (`python_utils.func_load`), for as long as the layer is used,
    where `tf`, `ops` or `np` are not; no name that it has is changed.
    """
    import keras
    from keras.src.legacy import backend
    from keras.src.utils import python_utils

    # `K`, of which Keras 3 keeps what Keras 2 had for old code alone.
    backend_of_keras_2 = SimpleNamespace(**{**vars(keras.backend), **vars(backend)})
    for name, value in {**_usual(keras), "K": backend_of_keras_2, **given}.items():
        vars(python_utils).setdefault(name, value)


def usual_names_of_tf_keras() -> dict[str, Any]:
    """What code of Keras 2 is usually written with. tf-keras looks a Lambda's names up among the custom objects."""
    import tf_keras

    return {**_usual(tf_keras), "K": tf_keras.backend, "backend": tf_keras.backend}


def _usual(keras: Any) -> dict[str, Any]:
    import math

    import numpy as np
    import tensorflow as tf

    usual = {"tf": tf, "np": np, "numpy": np, "tensorflow": tf, "math": math, "keras": keras, "layers": keras.layers}
    return usual | ({"ops": keras.ops} if hasattr(keras, "ops") else {})


def hint_on_missing_name(error: BaseException) -> str | None:
    """What to do when a name was not found, which Keras may have wrapped in what it met next; None otherwise."""
    for one in _chain(error):
        if isinstance(one, NameError) and one.name is not None:
            return (
                f"a Lambda layer uses `{one.name}`, which no file keeps: give it with --custom-objects "
                f"module:{one.name}, or adopt a function that builds the model and loads its weights"
            )
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
