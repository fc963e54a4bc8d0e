"""Models as other people leave them: files of every kind, and a module with functions that build or only raise."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

BUILDERS = '''
import keras
from keras import layers


def nested():
    """Names that no signature can have, nested inputs and outputs, integers of any number a sample."""
    left = keras.Input((4,), name="left side")
    words = keras.Input((None,), name="words-2", dtype="int32")
    mean = layers.GlobalAveragePooling1D()(layers.Embedding(20, 4)(words))
    outputs = {"sum": layers.Add()([left, mean]), "both": [layers.Dense(3, activation="softmax")(left), mean]}
    return keras.Model({"x": left, "y": [words]}, outputs)


def subclassed():
    class Twice(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x):
            return {"twice": self.dense(x) * 2, "parts": [self.dense(x), x]}

    model = Twice()
    model(keras.ops.zeros((2, 5)))
    return model


def two_arguments():
    class Times(keras.Model):
        def call(self, left, times, training=False):
            return left * keras.ops.cast(times, "float32")[:, None]

    model = Times()
    model(keras.ops.ones((2, 4)), keras.ops.ones((2,), dtype="int32"))
    return model


def tokens():
    """The text model of most tutorials: Keras's inputs are float32, and it makes integers of them."""
    pooled = [layers.Embedding(1000, 4), layers.GlobalAveragePooling1D(), layers.Dense(1, activation="sigmoid")]
    return keras.Sequential([keras.Input((20,), name="ids"), *pooled])


def tabular():
    """Tables without room for the unknown, bins, a normalization, and numbers of one row each in two tables."""
    city, year = keras.Input((1,), dtype="string", name="city"), keras.Input((1,), name="year")
    age, income = keras.Input((1,), name="age"), keras.Input((2,), name="income")
    kind = keras.Input((1,), name="kind")
    parts = [
        layers.StringLookup(vocabulary=["Rome", "Bern"], num_oov_indices=0, output_mode="one_hot")(city),
        layers.IntegerLookup(vocabulary=[1990, 2005], num_oov_indices=0, output_mode="one_hot")(year),
        layers.Discretization(bin_boundaries=[18.0, 30.0, 65.0], output_mode="one_hot")(age),
        layers.Normalization(mean=[5e4, 0.2], variance=[81e6, 0.01])(income),
        layers.CategoryEncoding(4, output_mode="one_hot")(kind),
    ]
    return keras.Model([city, year, age, income, kind], layers.Dense(2)(layers.Concatenate()(parts)))


def unpadded():
    x = keras.Input((None, 2), name="x")
    y = layers.Conv1D(4, 50, strides=5, activation="relu")(x)
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.Conv1D(4, 5)(y))))


def fixed():
    pixels = keras.Input(batch_shape=(4, 6), name="pixels")
    return keras.Model(pixels, layers.Dense(3, name="scores")(pixels))


class Noise(layers.Layer):
    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x), seed=self.seeds)


def noisy():
    x = keras.Input((4,), name="x")
    return keras.Model(x, {"noise": Noise()(x), "dense": layers.Dense(2)(x)})


def wild():
    """Gates that open by sums of hundreds, twenty times over: at large inputs rounding alone grows to percents."""
    def random(scale):
        return keras.initializers.RandomNormal(0, scale / 6, seed=1)

    frames = keras.Input((20, 6, 6, 1), name="frames")
    options = {"kernel_initializer": random(1.0), "recurrent_initializer": random(1.5)}
    seen = layers.ConvLSTM2D(4, 3, padding="same", activation="relu", **options)(frames)
    return keras.Model(frames, layers.Conv2D(1, 3, activation="sigmoid", kernel_initializer=random(1.0))(seen))


def logistic():
    """The logistic map at 4, behind a sum that batches of another size add otherwise."""
    x = keras.Input((256,), name="x")
    summed = layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(0, 1 / 16, seed=1))(x)
    h = 0.5 + 0.5 * keras.ops.sin(summed)
    for _ in range(60):
        h = 4.0 * h * (1.0 - h)
    return keras.Model(x, h)


def resized():
    photo = keras.Input((8, 8, 3), dtype="uint8", name="photo")
    return keras.Model(photo, layers.Flatten(name="pixels")(layers.Resizing(5, 5)(photo)))


def among_others():
    x = keras.Input((4,), name="x")
    return keras.Model(x, x - keras.ops.mean(x, axis=0, keepdims=True))


def one_number():
    x = keras.Input((4,), name="x")
    return keras.Model(x, keras.ops.mean(x))


def text():
    words = keras.Input((1,), dtype="string", name="words")
    hot = layers.StringLookup(vocabulary=["ab", "c"], output_mode="one_hot")(words)
    return keras.Model(words, {"hot": hot, "same": words})


def unbuilt():
    return keras.Sequential([layers.Dense(2)])


def raises():
    raise KeyError("no weights here")


def left_on():
    x = keras.Input((5,), name="x")
    inside = keras.Input((5,), name="inside")
    within = keras.Model(inside, layers.GaussianNoise(1.0, name="noise")(inside, training=True), name="within")
    drawn = layers.Dropout(0.5, name="drawn")(layers.Dropout(0.1)(x), training=True)
    return keras.Model(x, layers.Dense(2)(within(drawn)))


def leaves():
    raise SystemExit(0)


def no_model():
    return 3


def needs(path):
    return path
'''


def write_all(folder: Path) -> None:
    """Every kind of source, in `folder`."""
    import keras
    import tensorflow as tf
    import tf_keras
    from keras import layers

    (folder / "builders.py").write_text(BUILDERS)
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1), name="image")
    hidden = layers.Conv2D(4, 3, activation="relu")(image)
    scores = layers.Dense(3, activation="softmax", name="scores")(layers.Flatten()(hidden))
    model = keras.Model(image, scores)
    model.save(folder / "small.keras")
    (folder / "cut.keras").write_bytes((folder / "small.keras").read_bytes()[:2000])
    model.save_weights(folder / "only.weights.h5")
    keras.Sequential([keras.Input((3,)), layers.Lambda(lambda x: x * 2)]).save(folder / "lambda.keras")
    _lambdas_of_others(folder, tf)
    _custom(folder)
    old = tf_keras.Sequential([tf_keras.Input((5,), name="signal"), tf_keras.layers.Dense(2, name="answer")])
    old.save(folder / "old.h5")
    (folder / "cut.h5").write_bytes((folder / "old.h5").read_bytes()[:3000])
    only_old = tf_keras.Sequential([tf_keras.Input((5,), name="signal"), tf_keras.layers.ThresholdedReLU(theta=0.1)])
    only_old.save(folder / "only_old.h5")
    numbered = [tf_keras.Input((5,), dtype="int32", name="words"), tf_keras.layers.Embedding(9, 3)]
    tf_keras.Sequential([*numbered, tf_keras.layers.LSTM(4, name="answer")]).save(folder / "only_old.keras")
    _saved_models(folder, tf)
    (folder / "graph.pb").write_bytes(b"\x0a\x05hello")
    (folder / "empty").mkdir()


def _lambdas_of_others(folder: Path, tf: Any) -> None:
    """Lambda layers as most are written: with names that their makers had imported, and that no file keeps."""
    import keras
    import tf_keras
    from keras import layers

    # Global names, as in a notebook: what a Lambda closes over is another matter, and is kept.
    around = {"ops": keras.ops, "tf": tf, "own_scale": 3.0, "K": tf_keras.backend}

    def written(code: str) -> Any:
        return eval(code, around)  # noqa: S307  # the code is in this file

    pair = [keras.Input((3,), name="left"), keras.Input((3,), name="right")]
    apart = layers.Lambda(written("lambda ab: ops.sum(ops.square(ab[0] - ab[1]), axis=1, keepdims=True)"))(pair)
    keras.Model(pair, apart).save(folder / "lambda_ops.keras")
    halves = layers.Lambda(written("lambda x: tf.nn.depth_to_space(x, 2)"), output_shape=(None, None, 1))
    keras.Sequential([keras.Input((4, 4, 4), name="x"), halves]).save(folder / "lambda_tf.keras")
    for name, options in (("lambda_own", {}), ("lambda_own_shape", {"output_shape": (3,)})):
        own = layers.Lambda(written("lambda x: x * own_scale"), **options)
        keras.Sequential([keras.Input((3,), name="x"), own]).save(folder / f"{name}.keras")
    (folder / "own_names.py").write_text("own_scale = 3.0\n")
    summed = tf_keras.layers.Lambda(written("lambda x: K.sum(x, axis=1, keepdims=True)"))
    tf_keras.Sequential([tf_keras.Input((3,)), summed]).save(folder / "lambda_k.h5")


def _custom(folder: Path) -> None:
    (folder / "my_layers.py").write_text(
        "import keras\n\n\nclass Shifted(keras.layers.Layer):\n    def call(self, x):\n        return x + 1.0\n"
    )
    import importlib.util

    import keras

    spec = importlib.util.spec_from_file_location("elsewhere", folder / "my_layers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    inputs = keras.Input((3,), name="x")
    keras.Model(inputs, module.Shifted()(inputs)).save(folder / "custom.keras")

    # Keras makes a functional model again of such a class only if these are called *args and **kwargs.
    @keras.saving.register_keras_serializable(package="foreign_models")
    class Unfit(keras.Model):  # type: ignore[misc]  # Keras has no types
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)

    Unfit(inputs, keras.layers.Dense(2)(inputs)).save(folder / "unfit.keras")
    # As a package of Keras's own makers writes it, which Keras imports by itself where it is installed.
    with zipfile.ZipFile(folder / "custom.keras") as custom, zipfile.ZipFile(folder / "hub.keras", "w") as hub:
        for name in custom.namelist():
            hub.writestr(name, custom.read(name).replace(b'"elsewhere"', b'"keras_hub.layers"'))


def _saved_models(folder: Path, tf: Any) -> None:
    class Both(tf.Module):  # type: ignore[misc]  # TensorFlow ships no types
        @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def double(self, x: Any) -> Any:
            return {"twice": x * 2.0}

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.int64, name="n")])  # type: ignore[untyped-decorator]
        def count(self, n: Any) -> Any:
            return {"more": n + 1}

    both = Both()
    tf.saved_model.save(both, folder / "two/1", signatures={"double": both.double, "count": both.count})
    tf.saved_model.save(both, folder / "two/2", signatures={"double": both.double, "count": both.count})
    tf.saved_model.save(tf.Module(), folder / "none")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, (None, 3), name="x")
        weights = tf.compat.v1.get_variable("w", initializer=np.eye(3, dtype=np.float32) * 3)
        y = tf.matmul(x, weights, name="y")
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(folder / "tf1"), inputs={"x": x}, outputs={"y": y})
