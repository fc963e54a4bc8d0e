"""TFLite files: the right precision, the right names, and a refusal that names the operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.runtime import EdgeProcess
from export.lowered_saved_model import lowered
from export.one_sample import ONE_SAMPLE
from export.tflite_edited import packed
from export.tflite_from_saved_model import tflite_from_saved_model
from export.tflite_kept_float import SELECTIVE_PRECISIONS
from export.tflite_loops import all_noted, without_last_outputs
from export.tflite_signature import signature_of_tflite
from pipeline.core.artifact import TFLITE_PRECISIONS, Artifact, Format, Precision
from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Tensors
from tests.integration.exported import Exported, artifact, export, tflite


def operations(content: bytes) -> list[tuple[str, list[str]]]:
    """Every operation of the file, with the dtypes of its outputs."""
    from tensorflow.lite.python import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    dtypes = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    found = []
    for operation in (graph.Operators(i) for i in range(graph.OperatorsLength())):
        name = names[model.OperatorCodes(operation.OpcodeIndex()).BuiltinCode()]
        outputs = [graph.Tensors(operation.Outputs(i)) for i in range(operation.OutputsLength())]
        found.append((name, [dtypes[tensor.Type()] for tensor in outputs]))
    return found


def model_of(layer: Any, folder: Path, samples: Tensors | None = None) -> Exported:
    """A model of one layer, `a` float32 [batch, 4, 4] to `y`."""
    import keras

    given = keras.Input((4, 4), name="a")
    model = keras.Model(given, layer(given))
    random = np.random.default_rng(0).normal(size=(20, 4, 4)).astype(np.float32)
    samples = {"a": random} if samples is None else samples
    return export(model, folder, samples=samples, answers={"y": np.asarray(model(samples["a"]))})


@pytest.mark.parametrize("precision", TFLITE_PRECISIONS)
def test_names_dtypes_and_shapes_are_the_saved_models(
    small: Exported,
    pairs: Exported,
    small_tflite: Mapping[Precision, Artifact],
    pairs_tflite: Mapping[Precision, Artifact],
    precision: Precision,
) -> None:
    """A full-integer file that takes int8 would need quantized samples, one with a fixed batch padded ones."""
    for exported, files in ((small, small_tflite), (pairs, pairs_tflite)):
        if precision not in files:
            continue
        found = signature_of_tflite(files[precision].path.read_bytes(), "serving_default", label="test")
        want = exported.saved_model.signature
        for got, specs in ((found.inputs, want.inputs), (found.outputs, want.outputs)):
            # What is an integer in the model, such as the index of a word, is no quantized value.
            io = [replace(s, dtype="int8") if s.dtype == "float32" else s for s in specs]
            assert sorted(got, key=str) == sorted(io if precision is Precision.INT8_IO else specs, key=str)


def test_int8_computes_in_integers_only(small_tflite: Mapping[Precision, Artifact]) -> None:
    """A converter that leaves an operation in float says nothing, and the file is slow where it should be fast."""
    found = operations(small_tflite[Precision.INT8].path.read_bytes())
    in_float = Counter(name for name, dtypes in found if "FLOAT32" in dtypes)
    assert in_float == {"DEQUANTIZE": 1}
    found = operations(small_tflite[Precision.INT8_IO].path.read_bytes())
    assert not [name for name, dtypes in found if "FLOAT32" in dtypes]


@pytest.mark.parametrize("precision", sorted(SELECTIVE_PRECISIONS))
def test_layers_that_are_kept_in_float_are_in_float_and_no_others(
    small: Exported, small_tflite: Mapping[Precision, Artifact], tmp_path: Path, precision: Precision
) -> None:
    """A denylist that matches nothing, or too much, would leave no trace but the size."""
    kept = tflite(small, tmp_path, precision, keep_float=("features",))
    in_float = Counter(name for name, dtypes in operations(kept.path.read_bytes()) if "FLOAT32" in dtypes)
    del in_float["DEQUANTIZE"]
    assert in_float == {"FULLY_CONNECTED": 1}
    # The dense layer of 512 x 64 weights takes four bytes instead of one for each.
    assert 0.9 < (kept.size_bytes - small_tflite[precision].size_bytes) / (3 * 512 * 64) < 1.1


def test_the_last_layer_can_be_kept_in_float(small: Exported, tmp_path: Path) -> None:
    """Its operation has lost its name to the output's; that of its weights is left."""
    kept = tflite(small, tmp_path, Precision.INT8, keep_float=("probabilities",))
    in_float = [name for name, dtypes in operations(kept.path.read_bytes()) if "FLOAT32" in dtypes]
    assert in_float.count("FULLY_CONNECTED") == 1


def test_a_layer_that_is_not_there_is_refused(small: Exported, tmp_path: Path) -> None:
    """Ignored, a misspelt layer would be quantized without a word."""
    with pytest.raises(ConversionFailed, match="keep_float names the layer `feature`") as raised:
        tflite(small, tmp_path, Precision.INT8, keep_float=("feature",))
    assert raised.value.hint == "did you mean `features`?"


def test_quantized_files_are_small(small_tflite: Mapping[Precision, Artifact]) -> None:
    """What quantization is for."""
    size = {precision: artifact.size_bytes for precision, artifact in small_tflite.items()}
    assert size[Precision.FLOAT16] < 0.6 * size[Precision.FLOAT32]
    assert size[Precision.DYNAMIC] < 0.4 * size[Precision.FLOAT32]
    assert size[Precision.INT8] < 0.4 * size[Precision.FLOAT32]


def test_the_same_saved_model_gives_the_same_file(
    small: Exported, small_tflite: Mapping[Precision, Artifact], tmp_path: Path
) -> None:
    """Otherwise a rerun would make every later step anew."""
    again = tflite(small, tmp_path, Precision.INT8)
    assert again.path.read_bytes() == small_tflite[Precision.INT8].path.read_bytes()
    assert list(again.path.parent.iterdir()) == [again.path]


def test_no_shape_is_computed_at_run_time(small_tflite: Mapping[Precision, Artifact]) -> None:
    """Keras 3's Flatten computes one, and then tflite-runtime 2.14 delegates nothing."""
    for made in small_tflite.values():
        names = {name for name, _ in operations(made.path.read_bytes())}
        assert not names & {"SHAPE", "PACK", "STRIDED_SLICE"}


def test_simplified_models_answer_the_same(small: Exported, pairs: Exported, tmp_path: Path) -> None:
    """The rewriting is for converters; a value that it changed would look like their fault."""
    import tensorflow as tf

    for exported in (small, pairs):
        feed = {name: tf.constant(array) for name, array in exported.samples.items()}
        whole = tf.saved_model.load(str(exported.saved_model.path)).signatures["serving_default"](**feed)
        with lowered(exported.saved_model.path, scratch=tmp_path, target=Format.TFLITE, lowering=False) as source:
            simple = tf.saved_model.load(str(source.folder)).signatures["serving_default"](**feed)
            for name, tensor in whole.items():
                np.testing.assert_array_equal(simple[name].numpy(), tensor.numpy())
    assert list(tmp_path.iterdir()) == []


def test_reshapes_with_two_unknown_sizes_are_left_alone(tmp_path: Path) -> None:
    """[-1, -1] would be no shape at all."""
    import keras
    from keras import layers, ops

    class Merge(layers.Layer):  # type: ignore[misc]  # Keras ships no types
        def call(self, given: Any) -> Any:
            batch, length, width = ops.shape(given)
            return ops.reshape(given, (batch, length * 2, width // 2))

        def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
            return (shape[0], None, 2)

    given = keras.Input((None, 4), name="a")
    samples = {"a": np.arange(24, dtype=np.float32).reshape(2, 3, 4)}
    model = keras.Model(given, Merge()(given))
    exported = export(model, tmp_path / "merge", samples=samples, answers={"y": np.asarray(model(samples["a"]))})
    file = tflite(exported, tmp_path / "files", Precision.FLOAT32)
    assert "PACK" in {name for name, _ in operations(file.path.read_bytes())}


@pytest.mark.parametrize("precision", TFLITE_PRECISIONS)
def test_an_operation_that_tflite_lacks_is_named_in_a_line(tmp_path: Path, precision: Precision) -> None:
    """MLIR's own message is hundreds of lines, and the one that counts stands in the middle."""
    import tensorflow as tf
    from keras import layers

    class Root(layers.Layer):  # type: ignore[misc]  # Keras ships no types
        def call(self, given: Any) -> Any:
            return tf.linalg.sqrtm(given)

    exported = model_of(Root(name="area"), tmp_path / "shoelace")
    with pytest.raises(ConversionFailed) as raised:
        tflite(exported, tmp_path, precision)
    assert raised.value.problem.startswith(
        f"shoelace tflite {precision}: TFLite's converter refused the model: "
        "'tf.MatrixSquareRoot' op is neither a custom op nor a flex op"
    )
    assert "area" in raised.value.problem
    assert len(raised.value.problem) < 300
    assert list((tmp_path / precision).iterdir()) == []


def test_int16x8_of_a_model_with_integer_inputs_is_refused_with_the_reason(pairs: Exported, tmp_path: Path) -> None:
    """TensorFlow's own words are of a minimum that is empty, for a tensor that holds the index of a word."""
    with pytest.raises(
        ConversionFailed, match="recorded during calibration: Failed for tensor serving_default_word:0"
    ) as raised:
        tflite(pairs, tmp_path, Precision.INT16X8)
    assert "takes no model with integer inputs" in raised.value.hint


def test_a_precision_of_the_browser_is_refused(small: Exported, tmp_path: Path) -> None:
    """TF.js has uint8 weights, TFLite has int8; they are easily taken for one another."""
    with pytest.raises(ConversionFailed, match=r"uint8 is a precision of TF\.js weights"):
        tflite(small, tmp_path, Precision.UINT8)


def test_calibration_needs_real_samples(small: Exported, tmp_path: Path) -> None:
    """Ranges that come of nothing make a file that answers noise."""
    with pytest.raises(ConversionFailed, match="no representative samples"):
        tflite_from_saved_model(
            small.saved_model.path,
            into=tmp_path / "digits.tflite",
            signature=small.saved_model.signature,
            precision=Precision.INT8,
            representative={"image": small.samples["image"][:0]},
        )


def test_text_that_the_quantizer_would_misread_is_refused_with_the_reason(tmp_path: Path) -> None:
    """It takes all of an input for one text, and then reads past its end: the process mostly dies of it."""
    import keras
    import tensorflow as tf

    names = keras.Input((3,), dtype="string", name="names")
    model = keras.Model(names, keras.layers.StringLookup(vocabulary=["a", "b"])(names))
    samples = {"names": np.array([[b"a", b"b", b"c"]] * 4, object)}
    answers = {"y": np.asarray(model(tf.constant(samples["names"])))}
    exported = export(model, tmp_path / "names", samples=samples, answers=answers)
    with pytest.raises(ConversionFailed, match=r"reads a text input as one text, and `names` is of shape \[3\]"):
        tflite(exported, tmp_path, Precision.INT8)


def test_a_recurrent_layer_becomes_a_file_for_one_sample(tmp_path: Path) -> None:
    """The converter wants to know the batch of an LSTM's list of states; no edge device would get the model."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5, 3), name="x"), keras.layers.LSTM(4), keras.layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
    exported = export(model, tmp_path / "lstm", samples={"x": x}, answers={"y": model.predict(x, verbose=0)})
    source = exported.saved_model
    file = tmp_path / "lstm.tflite"
    used = tflite_from_saved_model(
        source.path, into=file, signature=source.signature, precision=Precision.FLOAT32, representative={"x": x}
    )
    assert used == (ONE_SAMPLE,)
    assert signature_of_tflite(file.read_bytes(), "serving_default", label="").inputs[0].shape == (1, 5, 3)
    with pytest.raises(ConversionFailed, match="takes no model with a loop"):
        tflite_from_saved_model(
            source.path, into=file, signature=source.signature, precision=Precision.INT16X8, representative={"x": x}
        )


def test_a_recurrent_layer_becomes_integers(tmp_path: Path) -> None:
    """The last state of an LSTM is read by nobody, and TFLite's calibration ended its process with SIGSEGV on that."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5, 3), name="x"), keras.layers.LSTM(4), keras.layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(32, 5, 3)).astype(np.float32)
    exported = export(model, tmp_path / "lstm", samples={"x": x}, answers={"y": model.predict(x, verbose=0)})
    file = tmp_path / "lstm.tflite"
    source = exported.saved_model
    tflite_from_saved_model(
        source.path, into=file, signature=source.signature, precision=Precision.INT8, representative={"x": x}
    )
    made = artifact("lstm", Format.TFLITE, Precision.INT8, file, source.signature)
    (scratch := tmp_path / "edge").mkdir()
    with EdgeProcess(library="litert").boot(scratch) as session, session.load(made, "") as runner:
        got = runner.run({"x": x}, batch_size=7).outputs["y"]
    want = exported.answers["y"]
    assert 10 * np.log10(np.square(want).sum() / np.square(got - want).sum()) > 20


def test_a_transposed_convolution_in_dynamic_runs_on_every_runtime(tmp_path: Path) -> None:
    """Every U-Net, autoencoder and generator has some; tflite-runtime 2.14 refuses to load one in 8 bits and float."""
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2DTranspose(16, 3, strides=2, padding="same") for _ in range(2)]
    model = keras.Sequential([keras.Input((4, 4, 8), name="x"), *layers])
    x = np.random.default_rng(0).normal(size=(9, 4, 4, 8)).astype(np.float32)
    exported = export(model, tmp_path / "up", samples={"x": x}, answers={"y": model.predict(x, verbose=0)})
    made = tflite(exported, tmp_path / "files", Precision.DYNAMIC)
    assert made.size_bytes < tflite(exported, tmp_path / "files", Precision.FLOAT32).size_bytes / 1.5
    want = exported.answers["y"]
    for library in ("tflite-runtime", "litert"):
        (scratch := tmp_path / library).mkdir()
        with EdgeProcess(library=library).boot(scratch) as session, session.load(made, "") as runner:
            got = runner.run({"x": x}, batch_size=7).outputs["y"]
        assert 10 * np.log10(np.square(want).sum() / np.square(got - want).sum()) > 35


def _patches(x: Any) -> Any:
    import keras

    return keras.ops.image.extract_patches(x, size=8)


def _one_score(x: Any) -> Any:
    import keras

    return keras.layers.Dense(1)(keras.layers.Flatten()(x))


@pytest.mark.parametrize("made_by", [_patches, _one_score])
def test_dynamic_weights_of_a_single_scale_are_read_alike_by_every_runtime(made_by: Any, tmp_path: Path) -> None:
    """tflite-runtime 2.14 answered zeros for the patches of a ViT, and did not load a head of one output."""
    import keras

    keras.utils.set_random_seed(0)
    given = keras.Input((24, 24, 3), name="x")
    model = keras.Model(given, made_by(given))
    x = np.random.default_rng(0).uniform(-1, 1, (9, 24, 24, 3)).astype(np.float32)
    exported = export(model, tmp_path / "one", samples={"x": x}, answers={"y": model.predict(x, verbose=0)})
    made = tflite(exported, tmp_path / "files", Precision.DYNAMIC)
    want = exported.answers["y"]
    for library in ("tflite-runtime", "litert"):
        (scratch := tmp_path / library).mkdir()
        with EdgeProcess(library=library).boot(scratch) as session, session.load(made, "") as runner:
            got = runner.run({"x": x}, batch_size=7).outputs["y"]
        assert 10 * np.log10(np.square(want).sum() / np.square(got - want).sum()) > 30


def test_one_hot_rows_are_ones_and_zeros_in_integers(tmp_path: Path) -> None:
    """The quantizer makes 0.5 of every zero: a mixture of experts, or any encoded category, would be nonsense."""
    import keras

    keras.utils.set_random_seed(0)
    given = keras.Input((4,), name="x")
    best = keras.ops.argmax(keras.layers.Dense(5)(given), axis=-1)
    model = keras.Model(given, keras.layers.Dense(5)(keras.ops.one_hot(best, 5)))
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    exported = export(model, tmp_path / "hot", samples={"x": x}, answers={"y": model.predict(x, verbose=0)})
    made = tflite(exported, tmp_path / "files", Precision.INT8)
    want = exported.answers["y"]
    for library in ("tflite-runtime", "litert"):
        (scratch := tmp_path / library).mkdir()
        with EdgeProcess(library=library).boot(scratch) as session, session.load(made, "") as runner:
            got = runner.run({"x": x}, batch_size=7).outputs["y"]
        # Of two scores that are alike the integers may pick the other.
        assert np.mean(np.abs(got - want).max(axis=1) < 0.03 * np.abs(want).max()) > 0.9


def test_a_loop_within_a_loop_is_refused_before_it_ends_the_process() -> None:
    """Its results cannot be made outputs; a run would lose its converting process, and say SIGSEGV."""
    from tensorflow.lite.python import schema_py_generated as schema

    operation = schema.OperatorT()
    operation.opcodeIndex, operation.inputs, operation.outputs = 0, [0], [1]
    graphs = [schema.SubGraphT(), schema.SubGraphT()]
    for graph, operations in zip(graphs, ([], [operation]), strict=True):
        graph.tensors, graph.inputs, graph.outputs, graph.operators = [], [0], [0], operations
    with pytest.raises(ValueError, match="loop within a loop"):
        all_noted(_file_of(graphs, schema))


def test_only_what_nobody_reads_of_a_loop_becomes_an_output() -> None:
    """What is read already would become an output twice, and stay one when the last outputs are taken off again."""
    from tensorflow.lite.python import schema_py_generated as schema

    operation = schema.OperatorT()
    operation.opcodeIndex, operation.inputs, operation.outputs = 0, [0], [1, 2, 3]
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [], [0], [2], [operation]
    read, further = all_noted(_file_of([graph], schema))
    assert list(schema.Model.GetRootAs(read, 0).Subgraphs(0).OutputsAsNumpy()) == [2, 1, 3]
    assert list(schema.Model.GetRootAs(without_last_outputs(read, further), 0).Subgraphs(0).OutputsAsNumpy()) == [2]


def _file_of(graphs: list[Any], schema: Any) -> bytes:
    """A file with these subgraphs, whose only operation is WHILE."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.WHILE
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], graphs, []
    return packed(model)
