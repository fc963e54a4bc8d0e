"""What rounding does to a graph is what it does to the real artifacts, for real graphs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from export.graph_to_round import GraphToRound, frozen
from export.rounding_emulated import Rounding, emulated
from export.saved_model_from_keras import saved_model_from_keras
from export.tflite_from_saved_model import tflite_from_saved_model
from pipeline.core.artifact import Precision
from pipeline.core.signature import Signature, Tensors, batches

Exported = tuple[Path, Signature, dict[str, np.ndarray[Any, Any]]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A small net with all that is folded or quantized in a way of its own, and 40 samples of its own kind."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            layers.Input((8, 8, 3), name="image"),
            layers.Conv2D(24, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.AveragePooling2D(2),
            layers.Conv2D(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(64, activation="tanh"),
            layers.Dense(5, activation="softmax", name="scores"),
        ]
    )
    # Scores that vary over the samples, as a trained model's do.
    model.layers[-1].set_weights([weight * 8 for weight in model.layers[-1].get_weights()])
    samples = {"image": np.random.default_rng(0).random((40, 8, 8, 3), dtype=np.float32)}
    folder = tmp_path_factory.mktemp("exported")
    signature = saved_model_from_keras(
        model,
        into=folder,
        version=1,
        output_names=("scores",),
        model_name="net",
        warmup_samples={"image": samples["image"][:1]},
        input_checks=True,
    )
    return folder / "1", signature, samples


@pytest.fixture(scope="module")
def graph(exported: Exported) -> GraphToRound:
    return frozen(exported[0], exported[1].name)


@pytest.fixture(scope="module")
def rounding(exported: Exported, graph: GraphToRound) -> Rounding:
    return emulated(graph, exported[2], graph.answers(exported[2]))


def test_the_frozen_graph_answers_as_the_saved_model_with_its_normalizations_folded(
    exported: Exported, graph: GraphToRound
) -> None:
    """Otherwise the prediction would be another model's."""
    path, signature, samples = exported
    loaded = tf.saved_model.load(str(path))
    want = loaded.signatures[signature.name](image=tf.constant(samples["image"]))["scores"].numpy()
    np.testing.assert_allclose(graph.answers(samples)["scores"], want, atol=1e-5)
    assert not any(node.op.startswith(("FusedBatchNorm", "Rsqrt")) for node in graph.graph.node)


def test_every_precision_moves_the_output_and_coarser_ones_move_it_more(rounding: Rounding) -> None:
    """Otherwise a rounding would not have been applied."""
    moved = {precision: found["scores"].max_error for precision, found in rounding.moved.items()}
    assert 0 < moved["float32"] < moved["uint16"] < moved["uint8"]
    assert moved["float32"] < moved["float16"] < moved["dynamic"] <= moved["int8"] * 3
    assert moved["float32"] < 1e-4
    assert rounding.operations["DepthwiseConv2dNative"] == 1
    assert rounding.worst_case_ulps > 2 * (27 + 9 + 216 + 32 + 64)


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.FLOAT16, Precision.DYNAMIC, Precision.INT8])
def test_the_real_artifact_moves_about_as_far_as_was_predicted(
    exported: Exported, rounding: Rounding, tmp_path: Path, precision: Precision
) -> None:
    """Otherwise tolerances derived from it would pass faults or fail right targets."""
    path, signature, samples = exported
    file = tmp_path / "net.tflite"
    tflite_from_saved_model(
        path, into=file, signature=signature, precision=precision, representative={"image": samples["image"]}
    )
    want = frozen(path, signature.name).answers(samples)["scores"]
    got = np.concatenate([answers_of(file)(image=samples["image"][at : at + 1])["scores"] for at in range(len(want))])
    error = float(np.abs(got - want).max())
    predicted = rounding.moved[str(precision)]["scores"].max_error
    assert predicted / 10 < error < 3 * predicted


def answers_of(file: Path) -> Callable[..., Any]:
    with pytest.warns(UserWarning, match="deprecated"):
        interpreter = tf.lite.Interpreter(model_path=str(file))
    run = interpreter.get_signature_runner("serving_default")

    def answers(**inputs: Any) -> Any:
        # Held here: the runner does not keep its interpreter alive.
        assert interpreter is not None
        return run(**inputs)

    return answers


def test_the_same_graph_gives_the_same_prediction(exported: Exported, graph: GraphToRound, rounding: Rounding) -> None:
    """Otherwise the same artifacts could pass one day and fail the next."""
    again = emulated(graph, exported[2], graph.answers(exported[2]))
    for precision, found in rounding.moved.items():
        assert again.moved[precision]["scores"].max_error == pytest.approx(found["scores"].max_error, rel=1e-6)


def test_inputs_far_from_zero_are_predicted_with_the_steps_that_whole_numbers_leave_them(tmp_path: Path) -> None:
    """A sound int8 file of the penguins failed: millimetres between 170 and 230 have steps of 0.9 there, and the
    prediction knew of steps after the normalization only.
    """
    keras.utils.set_random_seed(5)
    inputs = {name: keras.Input((1,), name=name) for name in ("flipper", "culmen")}
    # Concatenated, since the converter folds a normalization into a product that comes right after it.
    seen = layers.Concatenate()(
        [
            layers.Normalization(axis=None, mean=200.0, variance=200.0)(inputs["flipper"]),
            layers.Normalization(axis=None, mean=44.0, variance=30.0)(inputs["culmen"]),
        ]
    )
    hidden = layers.Dense(16, activation="relu")(seen)
    model = keras.Model(inputs, {"mass": layers.Dense(1, name="mass")(hidden)})
    # The converter's ranges are those of the samples that are asked.
    rng = np.random.default_rng(0)
    samples = {
        "flipper": rng.uniform(170, 230, (120, 1)).astype(np.float32),
        "culmen": rng.uniform(32, 60, (120, 1)).astype(np.float32),
    }
    predicted, error, _ = _predicted_and_made(model, samples, "mass", Precision.INT8, tmp_path)
    assert predicted / 2 < error < 2 * predicted


def test_data_on_one_side_of_zero_is_not_cut_off() -> None:
    """Otherwise a bound would be as loose as if half of the values were lost."""
    with tf.Graph().as_default() as built:
        data = tf.compat.v1.placeholder(tf.float32, (None, 4), name="data")
        tf.linalg.matmul(data, tf.constant(np.eye(4, dtype=np.float32)), name="product")
    graph = GraphToRound(graph=built.as_graph_def(), inputs={"data": "data:0"}, outputs={"product": "product:0"})
    samples = {"data": np.linspace(5, 6, 400, dtype=np.float32).reshape(100, 4)}
    moved = emulated(graph, samples, graph.answers(samples)).moved
    # 255 steps from 0 to 6, and weights that are kept exactly.
    assert 0.4 * 6 / 255 < moved["int8"]["product"].max_error < 0.6 * 6 / 255


@pytest.mark.parametrize("written", ["chosen", "summed"])
def test_masked_scores_are_predicted_with_steps_of_their_own(written: str) -> None:
    """The -1e9 of a mask made the prediction noise: garbage was within the bounds, and sound files inconclusive."""
    with tf.Graph().as_default() as built:
        x = tf.compat.v1.placeholder(tf.float32, (None, 6), name="x")
        scores, up_to = 2 * x[:, :, None] * x[:, None, :], tf.constant(np.tril(np.ones((6, 6), np.float32)))
        masked = tf.where(up_to > 0, scores, -1e9) if written == "chosen" else scores + (1 - up_to) * -1e9
        tf.reduce_sum(tf.nn.softmax(masked) * x[:, None, :], axis=-1, name="y")
    graph = GraphToRound(graph=built.as_graph_def(), inputs={"x": "x:0"}, outputs={"y": "y:0"})
    samples = {"x": np.random.default_rng(0).uniform(-2, 2, (100, 6)).astype(np.float32)}
    assert emulated(graph, samples, graph.answers(samples)).moved["int8"]["y"].sqnr_db > 25


def test_what_a_loop_rounds_is_predicted(tmp_path: Path) -> None:
    """Recurrent layers had the general table's 20 dB, which let much worse pass."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5, 3), name="x"), layers.LSTM(4), layers.Dense(2, name="y")])
    samples = {"x": np.random.default_rng(0).uniform(-2, 2, (40, 5, 3)).astype(np.float32)}
    signature = saved_model_from_keras(
        model, into=tmp_path, version=1, output_names=("y",), model_name="net", warmup_samples={"x": samples["x"][:1]}
    )
    graph = frozen(tmp_path / "1", signature.name)
    want = graph.answers(samples)
    moved = emulated(graph, samples, want).moved
    assert "float32" not in moved, "sound recurrent models failed on webgl, whose functions are less exact"
    assert 60 < moved["float16"]["y"].sqnr_db < 90
    file = tmp_path / "net.tflite"
    tflite_from_saved_model(
        tmp_path / "1", into=file, signature=signature, precision=Precision.INT8, representative=samples
    )
    answers = answers_of(file)
    got = np.concatenate([answers(x=samples["x"][at : at + 1])["y"] for at in range(40)])
    error = float(np.abs(got - want["y"]).max())
    assert moved["int8"]["y"].max_error / 3 < error < 3 * moved["int8"]["y"].max_error


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not:UserWarning", "ignore::DeprecationWarning")
def test_constants_that_no_product_reads_are_predicted_in_halves(tmp_path: Path) -> None:
    """Models that Keras has quantized failed in float16 by a hair: the scales of their kernels are rounded, too, and a
    value that comes so over an edge of their own rounding is a whole step off.
    """
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((12,), name="x"), layers.Dense(32, "relu"), layers.Dense(4, name="y")])
    samples = {"x": np.random.default_rng(0).uniform(-1, 1, (64, 12)).astype(np.float32)}
    model.predict(samples["x"], verbose=0)
    model.quantize("int8")
    predicted, error, largest = _predicted_and_made(model, samples, "y", Precision.FLOAT16, tmp_path)
    # A step of a 127th, times its weight: far more than halves are off by themselves.
    assert error > 4 * 2**-11 * largest
    assert predicted / 3 < error < 3 * predicted


def _predicted_and_made(
    model: Any, samples: Tensors, output: str, precision: Precision, folder: Path
) -> tuple[float, float, float]:
    """The largest error of the output that is predicted, the one that the file makes, and its largest answer."""
    signature = saved_model_from_keras(
        model,
        into=folder,
        version=1,
        output_names=(output,),
        model_name="net",
        warmup_samples={name: array[:1] for name, array in samples.items()},
    )
    graph = frozen(folder / "1", signature.name)
    want = graph.answers(samples)
    predicted = emulated(graph, samples, want).moved[precision][output].max_error
    file = folder / "net.tflite"
    tflite_from_saved_model(folder / "1", into=file, signature=signature, precision=precision, representative=samples)
    answers = answers_of(file)
    got = np.concatenate([answers(**row)[output] for row in batches(samples, 1)])
    return predicted, float(np.abs(got - want[output]).max()), float(np.abs(want[output]).max())


@pytest.mark.parametrize("written", ["BatchMatMulV2", "Einsum"])
@pytest.mark.parametrize("weight_first", [False, True])
def test_products_of_many_matrices_are_predicted(written: str, *, weight_first: bool) -> None:
    """A layer with weights of each place of its own failed in int8 and dynamic, where nothing was predicted."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(8, 16, 12) if weight_first else (8, 12, 16)).astype(np.float32)
    with tf.Graph().as_default() as built:
        x = tf.compat.v1.placeholder(tf.float32, (None, 8, 12, 1) if weight_first else (None, 8, 1, 12), name="x")
        if written == "Einsum":
            rule = "bij,nbjk->nbik" if weight_first else "nbij,bjk->nbik"
            pair = (tf.constant(weights), x) if weight_first else (x, tf.constant(weights))
            product = tf.einsum(rule, *pair)
        else:
            product = tf.linalg.matmul(tf.constant(weights), x) if weight_first else tf.linalg.matmul(x, weights)
        tf.identity(product, name="y")
        assert any(node.op == written for node in built.as_graph_def().node)
    graph = GraphToRound(graph=built.as_graph_def(), inputs={"x": "x:0"}, outputs={"y": "y:0"})
    samples = {"x": rng.uniform(-1, 1, (50, *graph_shape(weight_first))).astype(np.float32)}
    moved = {name: found["y"] for name, found in emulated(graph, samples, graph.answers(samples)).moved.items()}
    # 12 products, each off by half a step of 2/255 and of the weight's 127 at most: 38 to 45 dB.
    for precision in ("int8", "dynamic"):
        assert 36 < moved[precision].sqnr_db < 48
    assert 120 < moved["float32"].sqnr_db < 150
    assert 60 < moved["float16"].sqnr_db < 80


def graph_shape(weight_first: bool) -> tuple[int, ...]:  # noqa: FBT001  # of one sample
    return (8, 12, 1) if weight_first else (8, 1, 12)


def test_what_becomes_infinite_when_it_is_rounded_is_not_predicted_to_stay_where_it_is() -> None:
    """A normalization by what rounds to zero is infinite. Left out of the errors, it said that nothing moves."""
    with tf.Graph().as_default() as built:
        x = tf.compat.v1.placeholder(tf.float32, (None, 1), name="x")
        tf.math.divide(1.0, x, name="y")
    graph = GraphToRound(graph=built.as_graph_def(), inputs={"x": "x:0"}, outputs={"y": "y:0"})
    samples = {"x": np.array([[1e-3]] * 7 + [[1e3]], np.float32)}
    assert emulated(graph, samples, graph.answers(samples)).moved["int8"]["y"].max_error == np.inf
