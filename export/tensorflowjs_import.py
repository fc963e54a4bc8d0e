"""The one place that gets around tensorflowjs 4.22's imports.

Its converter imports tensorflow_decision_forests, jax and flax whatever one converts. Beside TensorFlow 2.21 these
cannot be installed together, or do not import, so requirements/overrides.txt leaves them out. A graph model from a
SavedModel needs none of them; empty modules stand in for them while the converter is imported.
"""

from __future__ import annotations

import functools
import sys
import warnings
from types import ModuleType
from typing import Any

_STAND_INS = (
    "tensorflow_decision_forests",
    "jax",
    "jax.experimental",
    "jax.experimental.jax2tf",
    "jax.numpy",
    "flax",
)


@functools.cache
def graph_model_converter() -> Any:
    """The module `tensorflowjs.converters.tf_saved_model_conversion_v2`. Takes about a second at the first call."""
    # These look for a `jax` module at their own import, and must not find the stand-in.
    import keras  # noqa: F401
    import tensorflow as tf  # noqa: F401
    import tf_keras  # noqa: F401

    with warnings.catch_warnings():
        # It asks for pkg_resources, which is why requirements hold setuptools below 81.
        warnings.filterwarnings("ignore", "pkg_resources is deprecated")
        import tensorflow_hub  # noqa: F401

    absent = [name for name in _STAND_INS if name not in sys.modules]
    for name in absent:
        module = ModuleType(name)
        module.__path__ = []
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    try:
        from tensorflowjs.converters import tf_saved_model_conversion_v2
    finally:
        for name in absent:
            del sys.modules[name]
    return tf_saved_model_conversion_v2
