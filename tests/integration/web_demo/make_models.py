"""A program: trains and converts the models that the browser tests run, with TensorFlow's own answers beside them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file

from export.saved_model_from_keras import saved_model_from_keras
from export.tfjs_from_saved_model import tfjs_from_saved_model
from models import digits
from pipeline.core.artifact import TFJS_PRECISIONS, Precision
from pipeline.core.signature import Signature, Tensors, TensorSpec
from tests.integration.web_demo.files import ANSWERS_FILE, LABELS_FILE, SAMPLES_FILE, SIGNATURE_FILE


def main(folder: Path) -> None:
    _digits(folder / "digits")
    _pair(folder / "pair")
    _loop(folder / "loop")
    _recurrent(folder / "recurrent")
    _two_products(folder / "two_products")
    _two_averages(folder / "two_averages")


def _digits(folder: Path) -> None:
    keras.utils.set_random_seed(0)
    data = digits.MODEL.data()
    model = digits.MODEL.build()
    model.fit(data.train.inputs[digits.INPUT], data.train.targets[digits.OUTPUT], epochs=digits.MODEL.epochs, verbose=0)
    signature = saved_model_from_keras(
        model,
        into=folder / "saved",
        version=1,
        output_names=digits.MODEL.output_names,
        model_name="digits",
        warmup_samples={digits.INPUT: data.test.inputs[digits.INPUT][:1]},
    )
    np.save(folder / LABELS_FILE, data.test.targets[digits.OUTPUT])
    _finish(folder, signature, data.test.inputs, TFJS_PRECISIONS)


def _pair(folder: Path) -> None:
    """Two inputs and three outputs of three types, named so that no pairing by position or alphabet is right."""
    module = tf.Module()

    def serve(subtrahend: tf.Tensor, minuend: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "z_difference": minuend - subtrahend,
            "a_larger": minuend > subtrahend,
            "m_rounded": tf.cast(tf.round(minuend), tf.int32),
        }

    subtrahend, minuend = tf.TensorSpec([None, 1], tf.float32), tf.TensorSpec([None, 3], tf.float32)
    signed = tf.function(serve, input_signature=[subtrahend, minuend])
    tf.saved_model.save(module, str(folder / "saved/1"), signatures={"serving_default": signed})
    signature = Signature(
        name="serving_default",
        inputs=(_spec("minuend", "float32", 3), _spec("subtrahend", "float32", 1)),
        outputs=(_spec("z_difference", "float32", 3), _spec("a_larger", "bool", 3), _spec("m_rounded", "int32", 3)),
    )
    random = np.random.default_rng(0)
    samples = {
        "minuend": random.normal(size=(20, 3)).astype(np.float32) * 9,
        "subtrahend": random.normal(size=(20, 1)).astype(np.float32) * 9,
    }
    _finish(folder, signature, samples, (Precision.FLOAT32,))


def _loop(folder: Path) -> None:
    """A loop whose length depends on the data, which TF.js runs asynchronously only."""
    module = tf.Module()

    def serve(start: tf.Tensor) -> dict[str, tf.Tensor]:
        grown = start
        while tf.reduce_max(grown) < 100.0:
            grown = grown * 2.0
        return {"grown": grown}

    signed = tf.function(serve, input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    tf.saved_model.save(module, str(folder / "saved/1"), signatures={"serving_default": signed})
    signature = Signature(
        name="serving_default", inputs=(_spec("start", "float32", 2),), outputs=(_spec("grown", "float32", 2),)
    )
    _finish(folder, signature, {"start": np.array([[1, 2], [3, 4]], np.float32)}, (Precision.FLOAT32,))


def _recurrent(folder: Path) -> None:
    """A mask through a bidirectional GRU, an LSTM, tanh behind a product, and a branch between two constants."""

    class Scaled(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
        def call(self, x: tf.Tensor) -> tf.Tensor:
            return x * tf.cond(tf.reduce_max(x) > 1e6, lambda: tf.constant(2.0), lambda: tf.constant(-3.0))

    keras.utils.set_random_seed(0)
    words = keras.Input((6,), dtype="int32", name="words")
    spread = keras.initializers.RandomNormal(stddev=2.0, seed=1)
    embedded = keras.layers.Embedding(12, 5, mask_zero=True, embeddings_initializer=spread)(words)
    both_ways = keras.layers.Bidirectional(keras.layers.GRU(4, return_sequences=True))(embedded)
    last = keras.layers.Dense(4, activation="tanh")(keras.layers.LSTM(4)(both_ways))
    model = keras.Model(words, Scaled()(last))
    random = np.random.default_rng(0)
    lengths = random.integers(1, 7, (20, 1))
    samples = {"words": np.where(np.arange(6) < lengths, random.integers(1, 12, (20, 6)), 0).astype(np.int32)}
    signature = saved_model_from_keras(
        model,
        into=folder / "saved",
        version=1,
        output_names=("y",),
        model_name="recurrent",
        warmup_samples={"words": samples["words"][:1]},
    )
    _finish(folder, signature, samples, (Precision.FLOAT32,))


def _two_products(folder: Path) -> None:
    """A product of pooled maps, and then one of averages that are too many for one row of a texture at batch size 7."""
    random = np.random.default_rng(1)
    first, second = (random.normal(size=(width, 4)).astype(np.float32) / width**0.5 for width in (192, 2048))
    bias = tf.constant([1.0, 2.0, 3.0, 4.0])

    def serve(few: tf.Tensor, many: tf.Tensor) -> dict[str, tf.Tensor]:
        pooled = tf.reshape(tf.nn.max_pool2d(few, 2, 2, "VALID"), [-1, 192])
        y = tf.nn.bias_add(pooled @ first, bias)
        return {"y": y, "z": tf.nn.bias_add(_averages_after(y, many) @ second, bias)}

    _few_and_many(folder, serve, {"few": (2, 2, 192), "many": (2, 2, 2048)}, {"y": 4, "z": 4})


def _two_averages(folder: Path) -> None:
    """Averages over maps of one pixel, and then over larger ones: at batch size 7 more than a texture has rows."""

    def serve(few: tf.Tensor, many: tf.Tensor) -> dict[str, tf.Tensor]:
        y = tf.reduce_mean(few, [1, 2])
        return {"y": y, "z": _averages_after(y, many)}

    _few_and_many(folder, serve, {"few": (1, 1, 1280), "many": (3, 3, 2048)}, {"y": 1280, "z": 2048})


def _averages_after(y: tf.Tensor, many: tf.Tensor) -> tf.Tensor:
    """Averages that wait for `y`: the shader that comes first is the one that was kept for both."""
    return tf.reduce_mean(many + tf.reshape(y[:, 0], [-1, 1, 1, 1]), [1, 2])


def _few_and_many(
    folder: Path, serve: Callable[..., Any], inputs: Mapping[str, tuple[int, ...]], outputs: Mapping[str, int]
) -> None:
    """Save the function as a model of these inputs and outputs, given without the batch, and 14 samples."""
    signed = tf.function(
        serve, input_signature=[tf.TensorSpec([None, *shape], tf.float32, name) for name, shape in inputs.items()]
    )
    tf.saved_model.save(tf.Module(), str(folder / "saved/1"), signatures={"serving_default": signed})
    signature = Signature(
        name="serving_default",
        inputs=tuple(TensorSpec(name=name, dtype="float32", shape=(None, *shape)) for name, shape in inputs.items()),
        outputs=tuple(_spec(name, "float32", width) for name, width in outputs.items()),
    )
    random = np.random.default_rng(0)
    samples = {name: random.normal(size=(14, *shape)).astype(np.float32) for name, shape in inputs.items()}
    _finish(folder, signature, samples, (Precision.FLOAT32,))


def _spec(name: str, dtype: str, width: int) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=(None, width))


def _finish(folder: Path, signature: Signature, samples: Tensors, precisions: tuple[Precision, ...]) -> None:
    saved = folder / "saved/1"
    function = tf.saved_model.load(str(saved)).signatures[signature.name]
    answers = function(**{name: tf.constant(array) for name, array in samples.items()})
    save_file(dict(samples), folder / SAMPLES_FILE)
    save_file({name: tensor.numpy() for name, tensor in answers.items()}, folder / ANSWERS_FILE)
    (folder / SIGNATURE_FILE).write_text(json.dumps(signature.to_json()))
    for precision in precisions:
        (folder / precision).mkdir()
        tfjs_from_saved_model(saved, into=folder / precision, signature=signature, precision=precision)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
