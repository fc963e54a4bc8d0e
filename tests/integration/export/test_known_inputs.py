"""What a graph says of its inputs: a model that gets other values refuses them, or answers what means nothing."""

# ruff: noqa: ARG005  # every function here takes the same three

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.known_inputs import known_values
from pipeline.core.known_values import KnownValues

# TensorFlow 1's way of saving a model warns of itself.
pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = 40
WIDTH = 5


def told(call: Callable[..., Any], /, *, dtype: str = "float32", shape: tuple[int | None, ...] = (None, WIDTH)) -> Any:
    """What is known of `x`, the only input of the function, with a table of ROWS rows as a variable."""
    import tensorflow as tf

    table = tf.Variable(tf.random.normal((ROWS, 3)))
    function = tf.function(lambda **given: call(tf, table, given["x"]), autograph=False)
    concrete = function.get_concrete_function(x=tf.TensorSpec(shape, dtype, name="x"))
    return known_values(concrete).get("x")


def whole(tf: Any, x: Any) -> Any:
    return tf.cast(x, tf.int32)


Call = Callable[[Any, Any, Any], Any]

RANGES: Mapping[str, tuple[Call, tuple[float, float], bool]] = {
    "cast to indices": (lambda tf, table, x: tf.gather(table, whole(tf, x)), (0, ROWS - 1), True),
    "read from the variable itself": (
        lambda tf, table, x: tf.raw_ops.ResourceGather(resource=table.handle, indices=whole(tf, x), dtype=tf.float32),
        (0, ROWS - 1),
        True,
    ),
    "moved, then cast": (
        lambda tf, table, x: tf.gather(table, whole(tf, tf.reverse(tf.reshape(x, (-1,)), [0]))),
        (0, ROWS - 1),
        True,
    ),
    "the smaller of two tables": (
        lambda tf, table, x: [tf.gather(table, whole(tf, x)), tf.gather(table[:7], whole(tf, x))],
        (0, ROWS - 1),
        True,
    ),
    "the smaller of two constants": (
        lambda tf, table, x: [tf.gather(table, whole(tf, x)), tf.gather(tf.ones((7, 2)), whole(tf, x))],
        (0, 6),
        True,
    ),
    "along another axis": (
        lambda tf, table, x: tf.gather(tf.ones((4, 9)), whole(tf, x), axis=1) * table[0, 0],
        (0, 8),
        True,
    ),
    "counted from one": (lambda tf, table, x: tf.gather(table, whole(tf, x) - 1), (1, ROWS), True),
    "each column a place of its own": (
        lambda tf, table, x: tf.gather(table, whole(tf, x) + tf.range(0, 25, 5)),
        (0, ROWS - 1 - 20),
        True,
    ),
    "a share of the table": (lambda tf, table, x: tf.gather(table, whole(tf, x * 39.0)), (0, 1), False),
    "counted from the end, if negative": (
        lambda tf, table, x: tf.gather(table, tf.where(x < 0, whole(tf, x) + ROWS, whole(tf, x))),
        (0, ROWS - 1),
        True,
    ),
    "one-hot": (lambda tf, table, x: tf.one_hot(whole(tf, x), 6) * table[0, 0], (0, 5), True),
    "counted": (
        lambda tf, table, x: tf.math.bincount(whole(tf, x), minlength=8, maxlength=8, axis=-1, dtype=tf.float32),
        (0, 7),
        True,
    ),
    "cast to booleans": (lambda tf, table, x: tf.where(tf.cast(x, tf.bool), 1.0, 0.0), (0, 1), True),
    "a mask that is added": (lambda tf, table, x: tf.nn.softmax((1.0 - x) * -10000.0), (0, 1), True),
    "lengths": (lambda tf, table, x: tf.cast(tf.range(9.0) < x[:, :1], tf.float32), (1, 9), True),
    "bytes": (lambda tf, table, x: x / 255.0, (0, 255), False),
    "bytes to -1 to 1": (lambda tf, table, x: (x - 127.5) / 127.5, (0, 255), False),
    "bins": (
        lambda tf, table, x: tf.raw_ops.Bucketize(input=x, boundaries=[10.0, 20.0, 30.0]),
        (0, 40),
        False,
    ),
}


@pytest.mark.parametrize("name", [name for name in RANGES if name != "the smaller of two tables"])
def test_a_range_is_what_the_operations_can_use(name: str) -> None:
    """Above it a model of token ids ends in an error, and -1 to 1 of them is one and the same word."""
    call, between, is_whole = RANGES[name]
    known = told(call)
    assert known is not None
    assert (known.between, known.whole) == (between, is_whole)


def test_of_a_part_of_a_variable_the_part_counts() -> None:
    call, *_ = RANGES["the smaller of two tables"]
    assert told(call).between == (0, 6)


@pytest.mark.parametrize(
    "call",
    [
        lambda tf, table, x: x * 2.0,
        lambda tf, table, x: tf.gather(x, [0, 1], axis=1),
        lambda tf, table, x: tf.gather(table, tf.argmax(x, axis=-1)),
        lambda tf, table, x: tf.gather(table, tf.math.floormod(whole(tf, x), ROWS)),
        lambda tf, table, x: tf.cast(x > 0.5, tf.float32),
    ],
)
def test_of_what_takes_any_number_nothing_is_known(call: Call) -> None:
    """Whole numbers for such an input would be others than it is made for."""
    assert told(call) is None


def test_a_normalization_gives_each_column_its_middle() -> None:
    """Incomes and ages in one range of -1 to 1 are one and the same to a model that normalizes them."""
    mean, deviation = np.array([40.0, 5e4, 0.2, 0.0, -7.0]), np.array([10.0, 9e3, 0.1, 1.0, 2.0])

    def normalized(tf: Any, table: Any, x: Any) -> Any:
        return (x - tf.constant(mean[None], tf.float32)) / tf.maximum(tf.constant(deviation[None], tf.float32), 1e-7)

    middle, distance = told(normalized).around
    np.testing.assert_allclose(middle, mean, rtol=1e-6)
    np.testing.assert_allclose(distance, 2 * deviation, rtol=1e-6)
    # Of columns in another order nobody knows which is which.
    assert told(lambda tf, table, x: normalized(tf, table, tf.reverse(x, [1]))) is None


def _words(tf: Any, words: list[str]) -> Any:
    places = tf.range(len(words), dtype=tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.constant(words), places), -1)


def _texts_of(call: Callable[[Any, Any, Any], Any]) -> KnownValues | None:
    import tensorflow as tf

    table = _words(tf, ["Rome", "Bern", "Oslo"])
    function = tf.function(lambda **given: call(tf, table, given["x"]), autograph=False)
    return known_values(function.get_concrete_function(x=tf.TensorSpec((None,), tf.string, name="x"))).get("x")


def test_keys_come_in_the_order_of_the_vocabulary() -> None:
    """In the table's own order, another in each process, the same seed would make other samples."""
    known = _texts_of(lambda tf, table, x: table.lookup(x))
    assert known is not None
    assert known.keys == [b"Rome", b"Bern", b"Oslo"]
    assert not known.words


def test_of_texts_that_are_taken_apart_the_keys_are_words() -> None:
    known = _texts_of(lambda tf, table, x: table.lookup(tf.strings.split(tf.strings.lower(x)).values))
    assert known is not None
    assert known.words == [b"Rome", b"Bern", b"Oslo"]
    assert not known.keys


def test_texts_of_numbers_are_numbers() -> None:
    known = _texts_of(lambda tf, table, x: tf.strings.to_number(x))
    assert known is not None
    assert all(np.isfinite(float(key)) for key in known.keys)


def test_the_tables_of_a_saved_model_are_read(tmp_path: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.table = _words(tf, ["Rome", "Bern"])
    module.rows = tf.Variable(tf.ones((12, 2)))

    def serve(x: Any, n: Any) -> Any:
        return {"x": module.table.lookup(x), "n": tf.gather(module.rows, tf.cast(n, tf.int32))}

    specs = [tf.TensorSpec((None,), tf.string, name="x"), tf.TensorSpec((None,), name="n")]
    tf.saved_model.save(module, str(tmp_path), signatures=tf.function(serve, input_signature=specs))
    loaded = tf.saved_model.load(str(tmp_path))
    known = known_values(loaded.signatures["serving_default"])
    assert known["x"].keys == [b"Rome", b"Bern"]
    assert known["n"].between == (0, 11)


def test_the_tables_of_tensorflow_1_are_read(tmp_path: Path) -> None:
    """They are no part of what was loaded: each is an operation of the graph."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x, n = v1.placeholder(tf.string, (None,), name="x"), v1.placeholder(tf.float32, (None,), name="n")
        rows = v1.get_variable("rows", initializer=np.ones((12, 2), np.float32))
        outputs = {"y": _words(tf, ["Rome", "Bern"]).lookup(x), "z": tf.nn.embedding_lookup(rows, tf.cast(n, tf.int32))}
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(tmp_path / "tf1"))
        signature = v1.saved_model.predict_signature_def({"x": x, "n": n}, outputs)
        filled = v1.tables_initializer()
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, main_op=filled)
        builder.save()
    loaded = tf.saved_model.load(str(tmp_path / "tf1"))
    known = known_values(loaded.signatures["serving_default"])
    assert known["x"].keys == [b"Rome", b"Bern"]
    assert known["n"].between == (0, 11)


def test_what_runs_in_a_loop_or_a_branch_counts() -> None:
    """Recurrent models look their tokens up one after the other."""

    def looped(tf: Any, table: Any, x: Any) -> Any:
        return tf.map_fn(lambda row: tf.gather(table, whole(tf, row)), x, fn_output_signature=tf.float32)

    def branched(tf: Any, table: Any, x: Any) -> Any:
        return tf.cond(tf.shape(x)[0] > 3, lambda: tf.gather(table, whole(tf, x)), lambda: tf.zeros((1, WIDTH, 3)))

    assert told(looped).between == (0, ROWS - 1)
    assert told(branched).between == (0, ROWS - 1)
