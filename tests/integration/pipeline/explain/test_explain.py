"""The first layer that diverges, found in real runtimes in artifacts that were damaged on purpose."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.saved_model_from_keras import saved_model_from_keras
from export.tflite_from_saved_model import tflite_from_saved_model
from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.signature import Tensors, TensorSpec
from pipeline.core.target import Session
from pipeline.explain.explain import explain
from pipeline.explain.explanation import Explanation
from tests.integration.exported import Exported, artifact, export
from tests.integration.pipeline.explain.damage import damaged_tfjs, damaged_tflite, weights_of

Fault = tuple[Callable[..., None], str, str]


def _explained(exported: Exported, damaged: Artifact, session: Session, variant: str = "") -> Explanation:
    return explain(damaged, model=exported.model, session=session, variant=variant, samples=exported.samples)


def _without_activation(_model: Any, _graph: Any, operators: Mapping[str, Any]) -> None:
    operators["shapes_active_1"].builtinOptions.fusedActivationFunction = 0


def _one_bit(model: Any, graph: Any, operators: Mapping[str, Any]) -> None:
    weights_of(model, graph, operators["shapes_active_1"]).view(np.uint32)[100] ^= np.uint32(1 << 30)


def _averaged(model: Any, _graph: Any, operators: Mapping[str, Any]) -> None:
    from tensorflow.lite.python import schema_py_generated as schema

    code = model.operatorCodes[operators["halved_1"].opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.AVERAGE_POOL_2D


def _classes_reversed(model: Any, graph: Any, operators: Mapping[str, Any]) -> None:
    kernel = weights_of(model, graph, operators["probabilities_1"]).reshape(10, 64)
    kernel[:] = kernel[::-1].copy()


def _unpadded(_model: Any, _graph: Any, operators: Mapping[str, Any]) -> None:
    operators["strokes_active_1"].builtinOptions.padding = 1


@pytest.mark.parametrize("precision", list(Precision))
def test_no_layer_of_a_healthy_tflite_file_is_accused(
    small: Exported, small_tflite: Mapping[Precision, Artifact], edge: Session, precision: Precision
) -> None:
    """A person would search where nothing is."""
    if precision not in small_tflite:
        assert precision in (Precision.UINT8, Precision.UINT16)
        return
    explanation = _explained(small, small_tflite[precision], edge)
    assert explanation.first_divergent_layer is None, explanation.sentence
    assert {"shapes_active", "features", "probabilities"} <= {line.layer for line in explanation.lines}


@pytest.mark.parametrize(
    "fault",
    [
        (_without_activation, "shapes_active", "missing"),
        (_one_bit, "shapes", "values"),
        (_averaged, "halved", "values"),
        (_classes_reversed, "probabilities", "values"),
        (_unpadded, "strokes", "shape"),
    ],
)
def test_the_damaged_layer_of_a_tflite_file_is_named(
    small: Exported,
    small_tflite: Mapping[Precision, Artifact],
    edge: Session,
    tmp_path: Path,
    fault: Fault,
) -> None:
    """The answer to "where?" would send a person to the wrong layer."""
    change, *told = fault
    damaged = damaged_tflite(small_tflite[Precision.FLOAT32], tmp_path, change)
    explanation = _explained(small, damaged, edge)
    assert (explanation.first_divergent_layer, explanation.manner) == tuple(told), explanation.sentence


def test_layers_after_the_damaged_one_are_innocent_by_themselves(
    small: Exported, small_tflite: Mapping[Precision, Artifact], edge: Session, tmp_path: Path
) -> None:
    """Every layer after a fault differs, which says nothing about it."""
    damaged = damaged_tflite(small_tflite[Precision.FLOAT32], tmp_path, _without_activation)
    lines = _explained(small, damaged, edge).lines
    after = [line for line in lines if line.layer in ("features", "probabilities")]
    assert len(after) == 3
    assert all(line.propagated.relative is not None and line.propagated.relative > 0.01 for line in after)
    assert [line.layer for line in lines if line.out_of_line] == ["shapes_active"]


def test_the_damaged_layer_of_a_quantized_file_is_named(
    small: Exported, small_tflite: Mapping[Precision, Artifact], edge: Session, tmp_path: Path
) -> None:
    """Rounding, which is everywhere, would hide the tensor whose range is too narrow."""

    def saturate(_model: Any, graph: Any, operators: Mapping[str, Any]) -> None:
        given = graph.tensors[operators["features_1"].outputs[0]].quantization
        given.scale = given.scale * np.float32(0.3)

    damaged = damaged_tflite(small_tflite[Precision.INT8], tmp_path, saturate)
    assert _explained(small, damaged, edge).first_divergent_layer == "features"


def test_healthy_and_damaged_layers_are_told_apart_in_the_browser(
    small: Exported, small_tfjs: Artifact, browser: Session, tmp_path: Path
) -> None:
    """TF.js moves the first ReLU behind its pooling, where its name would have it compared with the wrong layer."""

    def forget_activation(nodes: dict[str, Any]) -> None:
        nodes["digits_1/strokes_active_1/Relu"]["op"] = "Identity"

    assert _explained(small, small_tfjs, browser, "wasm").first_divergent_layer is None
    explanation = _explained(small, damaged_tfjs(small_tfjs, tmp_path, forget_activation), browser, "wasm")
    assert explanation.first_divergent_layer == "strokes_active", explanation.sentence
    assert explanation.suspects == ("strokes_active", "halved")


def _trained_always(call: Callable[..., Any], inputs: Any, *, training: bool | None = None, **more: Any) -> Any:
    del training
    return call(inputs, training=True, **more)


def test_no_layer_of_a_healthy_saved_model_is_accused(small: Exported, in_process: Session) -> None:
    explanation = _explained(small, small.saved_model, in_process)
    assert explanation.first_divergent_layer is None
    assert {line.layer for line in explanation.lines} >= {"strokes", "strokes_normalized", "strokes_active"}


@pytest.mark.parametrize(
    ("layer", "manner"), [("strokes_normalized", "training"), ("dropped", "training"), ("shapes_normalized", "affine")]
)
def test_what_training_left_behind_in_a_saved_model_is_named(
    small: Exported, in_process: Session, tmp_path: Path, layer: str, manner: str
) -> None:
    """A model that was exported in training mode answers almost right, and differently with each batch."""
    import keras

    other = keras.models.clone_model(small.model)
    other.set_weights(small.model.get_weights())
    culprit = other.get_layer(layer)
    if manner == "training":
        culprit.call = functools.partial(_trained_always, culprit.call)
    else:
        *kept, variance = culprit.get_weights()
        culprit.set_weights([*kept, variance * 2])
    damaged = export(other, tmp_path / "digits", samples=small.samples, answers=small.answers).saved_model
    explanation = _explained(small, damaged, in_process)
    assert (explanation.first_divergent_layer, explanation.manner) == (layer, manner), explanation.sentence


def test_explaining_leaves_the_trained_model_as_it_was(
    small: Exported, small_tflite: Mapping[Precision, Artifact], edge: Session, tmp_path: Path
) -> None:
    """Running a normalization as in training moves its statistics: the next explanation would accuse it."""
    before = [np.array(weight) for weight in small.model.get_weights()]
    damaged = damaged_tflite(small_tflite[Precision.FLOAT32], tmp_path, _one_bit)
    _explained(small, damaged, edge)
    assert all(np.array_equal(was, now) for was, now in zip(before, small.model.get_weights(), strict=True))


def test_nested_and_shared_layers_keep_their_names(edge: Session, tmp_path: Path) -> None:
    """The layers of a model within a model, called twice, would be confused."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    half = keras.Sequential(
        [layers.Input((8,)), layers.Dense(6, activation="relu", name="wide"), layers.Dense(4, name="thin")], name="half"
    )
    left, right = keras.Input((8,), name="left"), keras.Input((8,), name="right")
    both = layers.Concatenate(name="both")([half(left), half(right)])
    model = keras.Model([left, right], layers.Dense(3, activation="softmax", name="choice")(both))
    random = np.random.default_rng(0)
    samples: Tensors = {name: random.normal(size=(40, 8)).astype(np.float32) for name in ("left", "right")}
    answers = {"choice": model.predict(samples, verbose=0)}
    exported = export(model, tmp_path / "pair", samples=samples, answers=answers)
    path = tmp_path / "pair.tflite"
    source = exported.saved_model
    tflite_from_saved_model(
        source.path, into=path, signature=source.signature, precision=Precision.FLOAT32, representative=samples
    )
    made = artifact("pair", Format.TFLITE, Precision.FLOAT32, path, source.signature)
    healthy = _explained(exported, made, edge)
    assert healthy.first_divergent_layer is None
    assert {"half/wide", "half/thin", "half/wide (call 2)", "half/thin (call 2)", "choice"} <= {
        layer for line in healthy.lines for layer in line.layers
    }


def test_a_model_written_by_hand_is_taken_apart_too(in_process: Session, tmp_path: Path) -> None:
    """A subclassed model says neither what it takes nor how its layers follow each other."""
    import keras
    from keras import layers

    class Doubting(keras.Model):  # type: ignore[misc]  # Keras ships no types
        def __init__(self) -> None:
            super().__init__(name="doubting")
            self.first = layers.Dense(6, activation="relu", name="first")
            self.last = layers.Dense(3, name="last")

        def call(self, numbers: Any) -> Any:
            hidden = self.first(numbers)
            return self.last(hidden * 2.0 - keras.ops.mean(hidden, axis=-1, keepdims=True))

    keras.utils.set_random_seed(2)
    samples: Tensors = {"numbers": np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)}
    model, other = Doubting(), Doubting()
    for each in (model, other):
        each(samples["numbers"])
    other.set_weights(model.get_weights())
    other.last.kernel.assign(other.last.kernel * 1.01)
    spec = TensorSpec(name="numbers", dtype="float32", shape=(None, 5))
    signature = saved_model_from_keras(
        other,
        into=tmp_path / "doubting",
        version=1,
        output_names=("scores",),
        model_name="doubting",
        warmup_samples={"numbers": samples["numbers"][:1]},
        inputs=(spec,),
    )
    made = artifact("doubting", Format.SAVED_MODEL, Precision.FLOAT32, tmp_path / "doubting/1", signature)
    explanation = explain(made, model=model, session=in_process, variant="", samples=samples)
    assert explanation.first_divergent_layer == "last", explanation.sentence
    assert "first" in {line.layer for line in explanation.lines if not line.out_of_line}
