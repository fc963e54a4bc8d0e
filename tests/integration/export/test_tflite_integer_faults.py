"""What TFLite's int8 gets wrong: each model is nonsense as the quantizer leaves it, and right as we do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema

from edge.runtime import EdgeProcess, LibraryName
from export.tflite_edited import packed
from export.tflite_from_saved_model import tflite_from_saved_model
from export.tflite_integer_faults import Mended, mended
from pipeline.core.artifact import Format, Precision
from pipeline.core.errors import TargetFailed
from tests.integration.exported import Exported, artifact, export

_RIGHT_DB = 20
_WRONG_DB = 12


@keras.saving.register_keras_serializable(package="tests")
class RowByRow(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Sorts each sample by itself."""

    def call(self, x: Any) -> Any:
        return tf.map_fn(tf.sort, x)


@keras.saving.register_keras_serializable(package="tests")
class Scattering(keras.layers.Layer):  # type: ignore[misc]
    """Values that have one place are added up: all of them together are beyond the range of each."""

    def call(self, x: Any) -> Any:
        columns = tf.transpose(x)
        places = tf.constant([[0], [1], [0], [1], [0], [0]])
        return tf.transpose(tf.scatter_nd(places, columns, (2, tf.shape(columns)[1])))


def _far_threshold(x: Any) -> Any:
    return keras.ops.where(x > 1000.0, -1.0, x)


def _near_threshold(x: Any) -> Any:
    return keras.ops.where(x * 1e-4 > 5e-5, -x, x)


def _clipped_beside(x: Any) -> Any:
    return keras.layers.Add()([keras.layers.Dense(6)(keras.ops.clip(x, -0.2, 0.2)), x])


def _chosen_beside(x: Any) -> Any:
    zeros = keras.ops.zeros_like(x)
    return keras.ops.where(keras.ops.abs(x) > 0.3, zeros, x) + 2 * x


def _reversed(x: Any) -> Any:
    narrow, wide = keras.layers.Dense(6)(x), 4 * keras.layers.Dense(6)(x)
    return keras.layers.Dense(3)(keras.layers.Concatenate()([keras.ops.flip(narrow, axis=-1), wide, x]))


def _attended(x: Any, masked: Callable[[Any, Any], Any]) -> Any:
    """Each value as a mean of those up to it, weighted by hand-made scores."""
    up_to = keras.ops.tril(keras.ops.ones((6, 6)))
    scores = masked(2 * x[:, :, None] * x[:, None, :], up_to)
    return keras.ops.sum(keras.ops.softmax(scores, axis=-1) * x[:, None, :], axis=-1)


def _chosen_scores(x: Any) -> Any:
    return _attended(x, lambda scores, up_to: keras.ops.where(up_to > 0, scores, -1e9))


def _summed_scores(x: Any) -> Any:
    return _attended(x, lambda scores, up_to: scores + (1 - up_to) * -1e9)


def _computed_mask(x: Any) -> Any:
    """TFLite's calibration notes the mask for what it is computed from, in whose memory it is written."""
    hidden = 1 - keras.ops.cast(x > 0, "float32")[:, None, :]
    return _attended(x, lambda scores, _: scores + hidden * -1e9)


@pytest.mark.parametrize(
    "build",
    [
        *(_far_threshold, _near_threshold, _clipped_beside, _chosen_beside, _reversed, Scattering()),
        *(_chosen_scores, _summed_scores, _computed_mask),
    ],
)
def test_integers_answer_what_the_model_does(build: Callable[[Any], Any], tmp_path: Path) -> None:
    """A user would ship a file that takes the wrong branch, or clips what goes past a clip."""
    exported, x = _exported(build, tmp_path)
    assert _decibels(exported, x, tmp_path, lowering=False) < _WRONG_DB, "TFLite mended it: take the way round out"
    assert _decibels(exported, x, tmp_path, lowering=True) > _RIGHT_DB


def test_a_normalization_over_one_channel_does_not_end_the_runtimes(tmp_path: Path) -> None:
    """Keras's own example of a transformer for time series ended both runtimes with SIGABRT."""

    def build(x: Any) -> Any:
        column = keras.layers.Reshape((6, 1))(x)
        return keras.layers.Flatten()(column + keras.layers.LayerNormalization(epsilon=1e-6)(column))

    exported, x = _exported(build, tmp_path)
    with pytest.raises(TargetFailed, match="SIGABRT"):
        _decibels(exported, x, tmp_path, lowering=False)
    assert _decibels(exported, x, tmp_path, lowering=True) > _RIGHT_DB


def test_roots_and_logarithms_run_on_the_old_runtime(tmp_path: Path) -> None:
    """A user could ship int8 to LiteRT only: tflite-runtime 2.14 does not load integer SQRT and LOG."""

    def build(x: Any) -> Any:
        return (
            keras.ops.sqrt(keras.ops.abs(x) + 0.1)
            + keras.ops.log(keras.ops.abs(x) + 1.0)
            + x / (keras.ops.abs(x) + 1.0)
        )

    exported, x = _exported(build, tmp_path)
    with pytest.raises(TargetFailed, match=r"SQRT|LOG"):
        _decibels(exported, x, tmp_path, lowering=False, library="tflite-runtime")
    assert _decibels(exported, x, tmp_path, lowering=True, library="tflite-runtime") > _RIGHT_DB


def test_a_loop_over_the_samples_learns_what_it_carries_on(tmp_path: Path) -> None:
    """Calibrated with one sample at a time, tf.map_fn answered zeros for all but the last of a batch."""
    exported, x = _exported(RowByRow(), tmp_path)
    assert _decibels(exported, x, tmp_path, lowering=True) > _RIGHT_DB


def test_what_sets_a_variable_and_a_branch_that_is_a_constant_are_no_faults() -> None:
    """Both have nothing where others have lists, and a stateful layer ended the conversion with a TypeError."""
    model, graph, constant = schema.ModelT(), schema.SubGraphT(), schema.SubGraphT()
    code, sets = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = schema.BuiltinOperator.ASSIGN_VARIABLE
    model.operatorCodes, model.buffers = [code], [schema.BufferT()]
    graph.operators, graph.tensors, graph.inputs, graph.outputs = [sets], [schema.TensorT()], [0], [0]
    constant.tensors, constant.outputs = [schema.TensorT()], [0]
    model.subgraphs = [graph, constant]
    content = packed(model)
    assert mended(content) == Mended(content=content)


def _exported(build: Callable[[Any], Any], folder: Path) -> tuple[Exported, NDArray[np.float32]]:
    keras.utils.set_random_seed(0)
    given = keras.Input((6,), name="x")
    model = keras.Model(given, build(given))
    x = np.random.default_rng(0).uniform(-2, 2, (64, 6)).astype(np.float32)
    return export(model, folder / "made", samples={"x": x}, answers={"y": model.predict(x, verbose=0)}), x


def _decibels(
    exported: Exported,
    x: NDArray[np.float32],
    folder: Path,
    *,
    lowering: bool,
    library: LibraryName = "litert",
) -> float:
    """Signal to noise of the runtime's answers in batches of seven."""
    file, source = folder / f"{lowering}.tflite", exported.saved_model
    tflite_from_saved_model(
        source.path,
        into=file,
        signature=source.signature,
        precision=Precision.INT8,
        representative={"x": x},
        lowering=lowering,
    )
    made = artifact("made", Format.TFLITE, Precision.INT8, file, source.signature)
    (scratch := folder / f"edge-{lowering}").mkdir()
    with EdgeProcess(library=library).boot(scratch) as session, session.load(made, "") as runner:
        got = runner.run({"x": x}, batch_size=7).outputs["y"]
    want = exported.answers["y"]
    return float(10 * np.log10(np.square(want).sum() / np.square(got - want).sum()))
