"""Models of half floats and doubles on the real runtimes: refused as they are, right once they compute in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from export.graph_to_round import frozen
from export.lowered_saved_model import Used, in_float32, lowered
from export.rounding_emulated import emulated
from export.tfjs_from_saved_model import tfjs_from_saved_model
from export.tflite_from_saved_model import tflite_from_saved_model
from pipeline.core.artifact import Format, Precision
from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Tensors
from pipeline.core.target import Session
from tests.integration.exported import Exported, artifact, export, tflite

_SAMPLES = 8
_ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float64": 2.0**-24}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model that computes in `computed_in`, and is a few of its roundings away from what it is in float32."""

    computed_in: str
    build: Callable[[], keras.Model]
    sample: Callable[[np.random.Generator], Any]


def _network() -> keras.Model:
    x = keras.Input((9, 9, 3), name="x")
    hidden = layers.Conv2D(8, 3, activation="relu", dtype="mixed_float16")(x)
    hidden = layers.BatchNormalization(dtype="mixed_float16")(hidden)
    hidden = layers.MaxPooling2D(dtype="mixed_float16")(hidden)
    hidden = layers.Flatten(dtype="mixed_float16")(layers.DepthwiseConv2D(2, dtype="mixed_float16")(hidden))
    return keras.Model(x, layers.Dense(3, dtype="float32", activation="softmax")(hidden))


def _block() -> keras.Model:
    """A transformer block over integers."""
    x, kind = keras.Input((6,), dtype="int32", name="x"), "mixed_bfloat16"
    hidden = layers.Embedding(20, 16, embeddings_initializer="normal", dtype=kind)(x)
    mixed = layers.MultiHeadAttention(2, 8, dtype=kind)(hidden, hidden, use_causal_mask=True)
    hidden = layers.LayerNormalization(dtype=kind)(layers.Add(dtype=kind)([hidden, mixed]))
    deep = layers.Dense(16, dtype=kind)(layers.Dense(32, activation="gelu", dtype=kind)(hidden))
    return keras.Model(x, layers.Dense(3, dtype="float32")(layers.Add(dtype="float32")([hidden, deep])[:, -1]))


def _loop() -> keras.Model:
    x = keras.Input((5, 3), name="x")
    hidden = layers.LSTM(4, dtype="mixed_float16")(x)
    return keras.Model(x, layers.Dense(2, dtype="float32")(hidden))


def _throughout(dtype: str) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        x = keras.Input((6,), dtype=dtype, name="x")
        return keras.Model(x, layers.Dense(3, dtype=dtype)(layers.Dense(8, activation="tanh", dtype=dtype)(x)))

    return build


def _words() -> keras.Model:
    x = keras.Input((2,), dtype="string", name="x")
    near = layers.Embedding(4, 4, embeddings_initializer="normal", dtype="mixed_float16")(
        layers.StringLookup(vocabulary=["a", "b"])(x)
    )
    return keras.Model(x, layers.Dense(2, dtype="mixed_float16")(layers.Flatten(dtype="mixed_float16")(near)))


def _normal(*shape: int, dtype: str = "float32") -> Callable[[np.random.Generator], Any]:
    return lambda rng: rng.normal(size=(_SAMPLES, *shape)).astype(dtype)


CASES = {
    "network": Case(computed_in="float16", build=_network, sample=_normal(9, 9, 3)),
    "block": Case(
        computed_in="bfloat16", build=_block, sample=lambda rng: rng.integers(0, 20, (_SAMPLES, 6)).astype(np.int32)
    ),
    "loop": Case(computed_in="float16", build=_loop, sample=_normal(5, 3)),
    "halves": Case(computed_in="float16", build=_throughout("float16"), sample=_normal(6, dtype="float16")),
    "doubles": Case(computed_in="float64", build=_throughout("float64"), sample=_normal(6, dtype="float64")),
    "words": Case(
        computed_in="float16",
        build=_words,
        sample=lambda rng: rng.choice(np.array([b"a", b"b", b"else"], object), (_SAMPLES, 2)),
    ),
}


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Exported]:
    case: Case = CASES[request.param]
    keras.utils.set_random_seed(5)
    model = case.build()
    samples = {"x": case.sample(np.random.default_rng(0))}
    answers = {"answer": np.asarray(model(tf.constant(samples["x"]), training=False))}
    return case, export(model, tmp_path_factory.mktemp("made") / "model", samples=samples, answers=answers)


def test_tflite_refuses_it_as_it_is_and_answers_as_the_model_once_it_computes_in_float32(
    made: tuple[Case, Exported], tmp_path: Path, edge: Session
) -> None:
    case, exported = made
    source, file = exported.saved_model, tmp_path / "model.tflite"

    def converted(*, lowering: bool) -> tuple[Used, ...]:
        return tflite_from_saved_model(
            source.path,
            into=file,
            signature=source.signature,
            precision=Precision.FLOAT32,
            representative={},
            lowering=lowering,
        )

    with pytest.raises(ConversionFailed, match="refused"):
        converted(lowering=False)
    used = converted(lowering=True)

    told = [one for one in used if one.lowering == "in_float32"]
    assert [(one.operation, one.becomes) for one in told] == [(f"arithmetic in {case.computed_in}", "float32")]
    with edge.load(artifact("model", Format.TFLITE, Precision.FLOAT32, file, source.signature), "") as runner:
        _check(case, exported, runner.run(exported.samples, batch_size=1).outputs)


def test_tfjs_answers_as_the_model(made: tuple[Case, Exported], tmp_path: Path, browser: Session) -> None:
    case, exported = made
    source = exported.saved_model
    used = tfjs_from_saved_model(source.path, into=tmp_path, signature=source.signature, precision=Precision.FLOAT32)
    assert "in_float32" in {one.lowering for one in used}
    graph_model = artifact("model", Format.TFJS, Precision.FLOAT32, tmp_path, source.signature)
    with browser.load(graph_model, "wasm") as runner:
        _check(case, exported, runner.run(exported.samples, batch_size=_SAMPLES).outputs)


def _check(case: Case, exported: Exported, got: Tensors) -> None:
    want = exported.answers["answer"]
    assert got["answer"].dtype == want.dtype
    assert np.ptp(want) > 0.1
    np.testing.assert_allclose(got["answer"], want, rtol=0, atol=20 * _ROUNDOFF[case.computed_in] * np.abs(want).max())


def test_weights_are_found_to_be_quantized(tmp_path: Path) -> None:
    """Behind a cast that stayed, float16 and int8 files would be as large as float32 ones, and compute in it."""
    x = keras.Input((64,), name="x")
    model = keras.Model(x, layers.Dense(128, dtype="mixed_float16")(x))
    samples = {"x": np.random.default_rng(0).normal(size=(_SAMPLES, 64)).astype(np.float32)}
    exported = export(model, tmp_path / "model", samples=samples, answers={"answer": np.asarray(model(samples["x"]))})

    sizes = {
        one: tflite(exported, tmp_path, one).size_bytes
        for one in (Precision.FLOAT32, Precision.FLOAT16, Precision.DYNAMIC, Precision.INT8)
    }

    weights = 64 * 128
    assert sizes[Precision.FLOAT32] > 4 * weights > sizes[Precision.FLOAT16] > 2 * weights
    assert 2 * weights > sizes[Precision.DYNAMIC] > weights
    assert 2 * weights > sizes[Precision.INT8] > weights


@pytest.mark.parametrize("kind", ["mixed_float16", "mixed_bfloat16"])
def test_the_noise_of_halves_is_predicted_about_as_large_as_it_is(kind: str, tmp_path: Path) -> None:
    """Held to float32's bounds, a sound artifact would fail; held to a table's, a wrong one would pass."""
    keras.utils.set_random_seed(2)
    x = keras.Input((10, 10, 4), name="x")
    hidden = layers.Conv2D(8, 3, activation="relu", dtype=kind)(x)
    hidden = layers.Dense(16, activation="tanh", dtype=kind)(layers.Flatten(dtype=kind)(hidden))
    model = keras.Model(x, layers.Dense(4, dtype="float32")(hidden))
    samples = {"x": np.random.default_rng(0).normal(size=(64, 10, 10, 4)).astype(np.float32)}
    want = np.asarray(model(samples["x"]))
    exported = export(model, tmp_path / "model", samples=samples, answers={"answer": want})

    with in_float32(exported.saved_model.path) as copy:
        assert copy is not None
        graph = frozen(copy, exported.saved_model.signature.name)
    own = graph.answers(samples)
    rounding = emulated(graph, samples, own)

    half = kind.removeprefix("mixed_")
    predicted = rounding.moved["float32"]["answer"].max_error
    assert rounding.computed_in == half
    assert 0.2 * predicted < np.abs(own["answer"] - want).max() < 2 * predicted
    assert predicted < 8 * _ROUNDOFF[half]
    assert rounding.moved["uint8"]["answer"].max_error > predicted


def test_halves_round_where_no_weight_is_read(tmp_path: Path) -> None:
    """Without, a model that only works on what it is given would be held to float32's noise."""
    x = keras.Input((32,), name="x")
    hidden = layers.Activation("tanh", dtype="mixed_float16")(layers.Rescaling(1.5, dtype="mixed_float16")(x))
    model = keras.Model(x, layers.Activation("linear", dtype="float32")(hidden))
    samples = {"x": np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)}
    want = np.asarray(model(samples["x"]))
    exported = export(model, tmp_path / "model", samples=samples, answers={"answer": want})
    with in_float32(exported.saved_model.path) as copy:
        assert copy is not None
        graph = frozen(copy, exported.saved_model.signature.name)
    own = graph.answers(samples)
    predicted = emulated(graph, samples, own).moved["float32"]["answer"].max_error
    assert 0.2 * predicted < np.abs(own["answer"] - want).max() < 2 * predicted


def test_values_are_rounded_to_halves_at_the_border_alone(tmp_path: Path) -> None:
    """A function that called another by its old name would be given another type than it takes, and fail."""
    module = tf.Module()
    spec = tf.TensorSpec([None, 4], tf.float16, name="x")
    # Called from outside itself, and by the signature.
    module.inner = tf.function(lambda x: tf.tanh(x * x)).get_concrete_function(spec)
    call = tf.function(lambda x: {"y": module.inner(x) + module.inner(-x)}).get_concrete_function(spec)
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": call})
    with in_float32(tmp_path / "model") as copy:
        assert copy is not None
        graph = frozen(copy, "serving_default")
    found = [node.op for node in graph.graph.node]
    assert (found.count("Cast"), found.count("Tanh")) == (2, 2)


def test_what_computes_in_float32_already_is_left_as_it_is(tmp_path: Path) -> None:
    """An input of halves is cast at once: TFLite does that, and a report should not speak of a lowering."""
    x = keras.Input((6,), dtype="float16", name="x")
    model = keras.Model(x, layers.Dense(3, dtype="float32")(keras.ops.cast(x, "float32")))
    samples = {"x": np.ones((2, 6), np.float16)}
    exported = export(model, tmp_path / "model", samples=samples, answers={"answer": np.asarray(model(samples["x"]))})
    with in_float32(exported.saved_model.path) as copy:
        assert copy is None
    with lowered(exported.saved_model.path, scratch=tmp_path, target=Format.TFLITE) as source:
        assert source.used == ()
        assert b"_in_float32" not in (source.folder / "saved_model.pb").read_bytes()


def _kept_bits(x: Any) -> Any:
    """The lowest bit of each half, which a float32 has elsewhere."""
    bits = tf.bitcast(x * tf.constant(3, tf.float16), tf.uint16)
    return tf.cast(tf.bitwise.bitwise_and(bits, tf.constant(1, tf.uint16)), tf.float32)


def _branches(x: Any) -> Any:
    once = tf.cond(tf.reduce_sum(x) > 0, lambda: x * tf.constant(2, x.dtype), lambda: x - tf.constant(1, x.dtype))
    _, grown = tf.while_loop(lambda step, _: step < 3, lambda step, y: (step + 1, y * y), (tf.constant(0), once))
    return tf.cast(grown, tf.float32)


@pytest.mark.parametrize(
    ("compute", "dtype", "near"),
    [(_kept_bits, "float16", 0), (_branches, "float16", 0.02), (_branches, "float64", 1e-6)],
)
def test_bits_branches_and_loops_mean_the_same(
    compute: Callable[[Any], Any], dtype: str, near: float, tmp_path: Path
) -> None:
    """A function called with another type than it takes would not load; bits of another type are other bits."""
    module = tf.Module()
    call = tf.function(lambda x: {"y": compute(x)}).get_concrete_function(tf.TensorSpec([None, 4], dtype, name="x"))
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": call})
    x = tf.constant(np.random.default_rng(0).normal(size=(4, 4)).astype(dtype) * 0.5)
    want = call(x=x)["y"].numpy()

    with lowered(tmp_path / "model", scratch=tmp_path, target=Format.TFJS) as source:
        got = tf.saved_model.load(str(source.folder)).signatures["serving_default"](x=x)["y"].numpy()

    assert [one.operation for one in source.used] == [f"arithmetic in {dtype}"]
    np.testing.assert_allclose(got, want, atol=near, rtol=near)


def test_a_double_that_float32_cannot_hold_leaves_the_model_alone(tmp_path: Path) -> None:
    """Infinite, it would make a wrong model without a word; as it is, TFLite refuses it."""
    module = tf.Module()
    call = tf.function(lambda x: {"y": tf.minimum(x * 2, 1e300)}).get_concrete_function(
        tf.TensorSpec([None, 4], tf.float64, name="x")
    )
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": call})
    with lowered(tmp_path / "model", scratch=tmp_path, target=Format.TFJS) as source:
        assert source.used == ()
