"""A Keras model as a SavedModel: the same answers, under the right names, and no input that brings a server down."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.saved_model_from_keras import saved_model_from_keras
from export.signature_of_saved_model import signatures_of_saved_model
from export.warmup import WARMUP_FILE
from pipeline.core.errors import ModelFailed
from pipeline.core.signature import Signature, Tensors, TensorSpec
from tests.integration.exported import Exported


def loaded(saved_model: Path) -> Any:
    import tensorflow as tf

    return tf.saved_model.load(str(saved_model)).signatures["serving_default"]


def answers(saved_model: Path, samples: Tensors) -> dict[str, Any]:
    import tensorflow as tf

    outputs = loaded(saved_model)(**{name: tf.constant(array) for name, array in samples.items()})
    return {name: tensor.numpy() for name, tensor in outputs.items()}


@pytest.fixture
def as_a_server_asks(tmp_path: Path) -> Callable[[Path, Tensors], list[Any]]:
    """Ask the graph itself, whose placeholders say nothing of shapes: Python would refuse before the graph is asked."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    v1 = tf.compat.v1

    def ask(saved_model: Path, samples: Tensors) -> list[Any]:
        content = saved_model_pb2.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
        for node in content.meta_graphs[0].graph_def.node:
            if node.op == "Placeholder":
                node.attr["shape"].shape.Clear()
                node.attr["shape"].shape.unknown_rank = True
                node.attr.pop("_output_shapes", None)
        (tmp_path / "saved_model.pb").write_bytes(content.SerializeToString())
        (tmp_path / "variables").symlink_to(saved_model / "variables")
        with tf.Graph().as_default(), v1.Session() as session:
            meta_graph = v1.saved_model.loader.load(session, ["serve"], str(tmp_path))
            signature = meta_graph.signature_def["serving_default"]
            fetches = [signature.outputs[name].name for name in sorted(signature.outputs)]
            return list(session.run(fetches, {signature.inputs[name].name: samples[name] for name in samples}))

    return ask


def test_one_output_of_a_sequential_model_has_its_name(small: Exported) -> None:
    """Keras calls it `output_0`; clients, converters and reports would carry that about."""
    assert small.saved_model.signature == Signature(
        name="serving_default",
        inputs=(TensorSpec(name="image", dtype="float32", shape=(None, 8, 8, 1)),),
        outputs=(TensorSpec(name="probabilities", dtype="float32", shape=(None, 10)),),
    )


def test_names_keep_the_models_order(pairs: Exported) -> None:
    """Outputs of one shape that are named the wrong way round pass every check of shapes."""
    assert pairs.saved_model.signature.input_names == ("word", "weight")
    assert pairs.saved_model.signature.output_names == ("total", "gap")
    for name, got in answers(pairs.saved_model.path, pairs.samples).items():
        np.testing.assert_array_equal(got, pairs.answers[name], err_msg=name)


@pytest.mark.parametrize("batch_size", [1, 7, 360])
def test_answers_are_the_models_own(small: Exported, batch_size: int) -> None:
    """A difference here would be a fault of the export, and show in every target."""
    batch = {name: array[:batch_size] for name, array in small.samples.items()}
    got = answers(small.saved_model.path, batch)["probabilities"]
    np.testing.assert_allclose(got, small.answers["probabilities"][:batch_size], atol=1e-6)


def test_input_checks_change_no_bit(small: Exported, tmp_path: Path) -> None:
    """Protection that changes answers would not be used."""
    bare = exported(small.model, tmp_path, samples=small.samples, input_checks=False)
    np.testing.assert_array_equal(
        answers(bare, small.samples)["probabilities"],
        answers(small.saved_model.path, small.samples)["probabilities"],
    )


@pytest.mark.parametrize("shape", [(3, 8, 8), (8,), (), (3, 8, 7, 1), (3, 8, 8, 3), (3, 1, 8, 8, 1)])
def test_a_wrong_shape_is_invalid_argument(
    small: Exported, as_a_server_asks: Callable[[Path, Tensors], list[Any]], shape: tuple[int, ...]
) -> None:
    """Without the check one such request aborts the whole process of TensorFlow Serving."""
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        as_a_server_asks(small.saved_model.path, {"image": np.zeros(shape, np.float32)})
    given = ",".join(str(size) for size in shape)
    assert f"[{given}] is not compatible with expected shape [?,8,8,1]" in raised.value.message
    assert "image_shape" in raised.value.message


def test_a_right_shape_gets_its_answer(small: Exported, as_a_server_asks: Callable[[Path, Tensors], list[Any]]) -> None:
    """The tests around this one would pass for a graph that refuses everything."""
    (got,) = as_a_server_asks(small.saved_model.path, small.samples)
    np.testing.assert_allclose(got, small.answers["probabilities"], atol=1e-6)


def test_each_input_is_checked_by_itself(
    pairs: Exported, as_a_server_asks: Callable[[Path, Tensors], list[Any]]
) -> None:
    """The message must name the input that is wrong."""
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError, match="weight_shape"):
        as_a_server_asks(pairs.saved_model.path, {**pairs.samples, "weight": np.zeros((50, 5), np.float32)})


def test_warmup_requests_are_real_samples(small: Exported) -> None:
    """TensorFlow Serving replays them before it calls a version available; wrong ones would fail the load."""
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    records = tf.data.TFRecordDataset(str(small.saved_model.path / WARMUP_FILE)).as_numpy_iterator()
    requests = [PredictionLog.FromString(record).predict_log.request for record in records]
    assert [request.model_spec.name for request in requests] == ["digits", "digits"]
    assert [request.model_spec.signature_name for request in requests] == ["serving_default"] * 2
    for number, request in enumerate(requests):
        got = tf.make_ndarray(request.inputs["image"])
        np.testing.assert_array_equal(got, small.samples["image"][number : number + 1])


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_dictionaries_in_and_out_keep_their_keys(tmp_path: Path) -> None:
    """Keras models may take and give dictionaries whose keys are not the tensors' names."""
    import keras
    from keras import layers

    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    outputs = {"sum": layers.Add()([left, right]), "difference": layers.Subtract()([left, right])}
    model = keras.Model({"a": left, "b": right}, outputs)
    samples = {"left": np.array([[5, 7]], np.float32), "right": np.array([[1, 2]], np.float32)}
    folder = exported(model, tmp_path, samples=samples, output_names=("sum", "difference"))
    got = answers(folder, samples)
    np.testing.assert_array_equal(got["sum"], [[6, 9]])
    np.testing.assert_array_equal(got["difference"], [[4, 5]])


def test_wrong_output_names_are_refused(small: Exported, tmp_path: Path) -> None:
    """Found here it is a line; found in a browser it is an afternoon."""
    with pytest.raises(ModelFailed, match=r"outputs are 1 without names, its file says \['a', 'b'\]"):
        exported(small.model, tmp_path, samples=small.samples, output_names=("a", "b"))
    assert not (tmp_path / "1").exists()


def test_an_input_name_that_tensorflow_would_change_is_refused(tmp_path: Path) -> None:
    """`my image` would become `my_image` in some of the artifacts and not in others."""
    import keras

    given = keras.Input((2,), name="my image")
    model = keras.Model(given, keras.layers.Flatten()(given))
    with pytest.raises(ModelFailed, match="an input is called `my image`"):
        exported(model, tmp_path, samples={"my image": np.zeros((1, 2), np.float32)}, output_names=("y",))


def test_a_model_without_inputs_is_refused(tmp_path: Path) -> None:
    """A subclassed model does not say what it takes, so nothing could be named or checked."""
    import keras

    class Subclassed(keras.Model):  # type: ignore[misc]  # Keras ships no types
        def call(self, given: Any) -> Any:
            return given

    with pytest.raises(ModelFailed, match="does not say what its inputs are") as raised:
        exported(Subclassed(name="mine"), tmp_path, samples={}, output_names=("y",))
    assert "keras.Input" in raised.value.hint


def test_signatures_are_read_without_loading_the_model(small: Exported, repository: Path) -> None:
    """Models made elsewhere are adopted by them."""
    assert signatures_of_saved_model(small.saved_model.path) == {"serving_default": small.saved_model.signature}


@pytest.mark.parametrize("content", [None, b"not a model at all", b""], ids=["missing", "damaged", "empty"])
def test_what_is_no_saved_model_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """People give the folder above, or a download that broke off."""
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ModelFailed, match=str(tmp_path)):
        signatures_of_saved_model(tmp_path)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_an_export_from_a_file_works_in_a_fresh_process(small: Exported, tmp_path: Path, repository: Path) -> None:
    """The pipeline exports in a worker, from the `.keras` file."""
    small.model.save(tmp_path / "model.keras")
    script = f"""
import keras, numpy as np
from pathlib import Path
from export.saved_model_from_keras import saved_model_from_keras
model = keras.models.load_model({str(tmp_path / "model.keras")!r}, compile=False)
samples = {{"image": np.zeros((1, 8, 8, 1), np.float32)}}
print(saved_model_from_keras(
    model, into=Path({str(tmp_path)!r}), version=3,
    output_names=("probabilities",), model_name="digits", warmup_samples=samples,
).to_json())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == str(small.saved_model.signature.to_json()), done.stderr
    assert (tmp_path / "3" / "saved_model.pb").is_file()


def exported(
    model: Any,
    into: Path,
    *,
    samples: Tensors,
    output_names: tuple[str, ...] = ("probabilities",),
    input_checks: bool = True,
) -> Path:
    saved_model_from_keras(
        model,
        into=into,
        version=1,
        output_names=output_names,
        model_name="digits",
        warmup_samples={name: array[:1] for name, array in samples.items()},
        input_checks=input_checks,
    )
    return into / "1"
