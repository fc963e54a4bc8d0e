"""Tables of integers on their way to TFLite: what is searched for in constants, and what is refused instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.lowered_saved_model import lowered
from export.tflite_from_saved_model import tflite_from_saved_model
from pipeline.core.artifact import Format, Precision
from pipeline.core.errors import ConversionFailed
from pipeline.core.signature import Signature, TensorSpec
from tests.integration.exported import export

# Keras and TensorFlow warn in their own code.
pytestmark = pytest.mark.filterwarnings("ignore")


def _table(keys: list[int], values: list[int]) -> Any:
    import tensorflow as tf

    known = tf.lookup.KeyValueTensorInitializer(tf.constant(keys, tf.int64), tf.constant(values, tf.int64))
    return tf.lookup.StaticHashTable(known, default_value=-1)


def test_a_function_that_two_tables_are_given_to_is_left_alone(tmp_path: Path) -> None:
    """Searched in the constants of one of them, half of the answers would be the other's."""
    import tensorflow as tf

    handle = tf.TensorSpec((), tf.resource)
    keys = tf.TensorSpec((None, 1), tf.int64, name="x")

    @tf.function(input_signature=[handle, keys], autograph=False)  # type: ignore[untyped-decorator]
    def found(table: Any, x: Any) -> Any:
        return tf.raw_ops.LookupTableFindV2(table_handle=table, keys=x, default_value=tf.constant(-1, tf.int64))

    module = tf.Module()
    module.tables = [_table([1, 2], [10, 20]), _table([1, 2], [5, 6])]
    first, second = (table.resource_handle for table in module.tables)

    @tf.function(input_signature=[keys], autograph=False)  # type: ignore[untyped-decorator]
    def both(x: Any) -> dict[str, Any]:
        return {"y": 100 * found(first, x) + found(second, x)}

    folder = tmp_path / "both" / "1"
    tf.saved_model.save(module, str(folder), signatures=both)
    with lowered(folder, scratch=tmp_path, target=Format.TFLITE) as source:
        assert {one.lowering for one in source.used} == {"lookup"}
    x, y = (TensorSpec(name=name, dtype="int64", shape=(None, 1)) for name in ("x", "y"))
    with pytest.raises(ConversionFailed, match=r"LookupTableFindV2|HashTable"):
        tflite_from_saved_model(
            folder,
            into=tmp_path / "both.tflite",
            signature=Signature(name="serving_default", inputs=(x,), outputs=(y,)),
            precision=Precision.FLOAT32,
            representative={"x": np.array([[1]])},
        )


def test_only_what_the_signature_calls_is_told_of(tmp_path: Path) -> None:
    """Preflight told of a search in a table, which no file of the edge has: of a function that nothing calls."""
    import keras

    number = keras.Input((1,), dtype="int64", name="number")
    exported = export(
        keras.Model(number, keras.layers.IntegerLookup(vocabulary=[1, 2, 3])(number)),
        tmp_path / "numbers",
        samples={"number": np.array([[1]])},
        answers={"y": np.zeros((1, 1))},
    )
    with lowered(exported.saved_model.path, scratch=tmp_path, target=Format.TFLITE) as source:
        assert [(one.lowering, len(one.nodes)) for one in source.used] == [("integer_lookup", 1)]
