"""Small SavedModels, made by TensorFlow itself, for tests of the embedded server."""

from __future__ import annotations

from pathlib import Path


def write_version_teller(base: Path, version: int) -> Path:
    """A version that answers x plus its own number, and its number beside it: a mixture of two versions would show.

    It is written aside and renamed into place, as a careful deployment does.
    """
    import tensorflow as tf

    class Teller(tf.Module):  # type: ignore[misc]  # untyped
        def __init__(self) -> None:
            super().__init__()
            self.number = tf.Variable(float(version))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])  # type: ignore[untyped-decorator]  # untyped
        def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"sum": x + self.number, "version": tf.zeros_like(x) + self.number}

    teller = Teller()
    aside = base.parent / f"aside-{version}"
    tf.saved_model.save(teller, str(aside), signatures={"serving_default": teller.serve})
    base.mkdir(parents=True, exist_ok=True)
    return aside.rename(base / str(version))


def write_convolution(base: Path) -> Path:
    """One convolution over images [?, 8, 8, 1]: given a wrong rank, its kernel would end the process."""
    import tensorflow as tf

    class Convolution(tf.Module):  # type: ignore[misc]  # untyped
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(tf.ones([3, 3, 1, 2]))

        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32, name="image")])  # type: ignore[untyped-decorator]  # untyped
        def serve(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"total": tf.reduce_sum(tf.nn.conv2d(image, self.kernel, 1, "SAME"), axis=[1, 2, 3])}

    convolution = Convolution()
    tf.saved_model.save(convolution, str(base / "1"), signatures={"serving_default": convolution.serve})
    return base / "1"


def write_warmup(version: Path, model: str, *, good: bool) -> None:
    """A warmup file with one Predict: a right one, or one for an input that there is not."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = model
    request.inputs["x" if good else "nope"].CopyFrom(tf.make_tensor_proto([1.0]))
    file = version / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(log.SerializeToString())
