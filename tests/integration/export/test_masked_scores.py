"""Which operations around a mask of attention's scores stay in float: the converted file and the prediction agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from export.graph_to_round import frozen
from export.masks_to_round import masking
from export.saved_model_from_keras import saved_model_from_keras
from export.tflite_from_saved_model import tflite_from_saved_model
from pipeline.core.artifact import Precision
from pipeline.core.signature import Tensors
from tests.corpus.corpus_model import evenly
from tests.corpus.hand_made import layer_kinds


@keras.saving.register_keras_serializable(package="tests")
class InControlFlow(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """A masked softmax in a branch, and in each turn of a loop."""

    def call(self, x: Any) -> Any:
        x = tf.cond(tf.reduce_max(x) < 99, lambda: x, lambda: tf.nn.softmax(tf.where(x > 0, x, -1e9)))

        def turn(y: Any) -> tuple[Any]:
            return (tf.nn.softmax(tf.where(y > 0, y, -1e9)) + y,)

        return tf.while_loop(lambda y: tf.reduce_max(y) < 3, turn, (x,))[0]


@pytest.mark.parametrize(
    ("build", "shapes"),
    [
        (layer_kinds._masked_attention, {"x": (6, 8)}),
        (layer_kinds._attention, {"x": (5, 6), "memory": (7, 6)}),
    ],
)
def test_file_and_prediction_name_the_same_operations(
    build: Callable[[], Any], shapes: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    """Where they differ, the bounds of a sound file let noise pass, or fail it."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    samples: Tensors = {name: evenly(random, (64, *shape)) for name, shape in shapes.items()}
    predicted, made = _both(build(), samples, tmp_path)
    assert predicted == made
    assert len(predicted) >= 2


@pytest.mark.parametrize(("times", "found"), [(1, 0), (2, 0), (4, 2), (100, 2)])
def test_a_mask_is_told_by_how_far_it_is_beside_the_scores(times: float, found: int, tmp_path: Path) -> None:
    """A mask of -50 costs scores around 1 as much as one of -1e9 costs any: five of their eight bits."""
    x = keras.Input((6, 6), name="x")
    scores = 2 * keras.ops.tanh(x)
    hidden = 1 - keras.ops.tril(keras.ops.ones((6, 6)))
    model = keras.Model(x, {"y": 2 * keras.ops.softmax(scores - hidden * 4.0 * times)})
    samples = {"x": evenly(np.random.default_rng(0), (64, 6, 6))}
    predicted, made = _both(model, samples, tmp_path)
    assert predicted == made
    assert len(predicted) == found


def test_a_mask_behind_control_flow_is_found_and_one_in_it_breaks_nothing_off(tmp_path: Path) -> None:
    """Without a prediction, int8 of a model with a recurrent layer is held to a general table."""
    x = keras.Input((6,), name="x")
    looped = InControlFlow()(layers.LSTM(6)(layers.Reshape((6, 1))(x)))
    model = keras.Model(x, {"y": keras.ops.softmax(keras.ops.where(x > 0, looped, -1e9))})
    samples = {"x": evenly(np.random.default_rng(0), (8, 6))}
    signature = _exported(model, samples, tmp_path)
    found = masking(frozen(tmp_path / "1", signature.name), samples)
    assert len(found) == 2
    assert [1] in found.values()


def _both(model: Any, samples: Tensors, folder: Path) -> tuple[set[str], set[str]]:
    """What the prediction leaves in float, and what the int8 file does, but for what hands a score on unchanged."""
    signature = _exported(model, samples, folder)
    used = tflite_from_saved_model(
        folder / "1",
        into=folder / "int8.tflite",
        signature=signature,
        precision=Precision.INT8,
        representative=samples,
    )
    predicted = masking(frozen(folder / "1", signature.name), samples)
    made = {node for one in used if one.operation.startswith("a mask") for node in one.nodes if "/for/" not in node}
    return {name.partition("PartitionedCall/")[2] for name in predicted}, made


def _exported(model: Any, samples: Tensors, folder: Path) -> Any:
    return saved_model_from_keras(
        model,
        into=folder,
        version=1,
        output_names=tuple(model.output),
        model_name="net",
        warmup_samples={name: array[:1] for name, array in samples.items()},
    )
