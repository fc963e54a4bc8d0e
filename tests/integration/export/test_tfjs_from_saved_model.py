"""TF.js graph models: names, weights and refusals. What they answer is seen in a browser, in ../web_demo."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from export.tfjs_from_saved_model import MODEL_FILE, tfjs_from_saved_model
from export.tfjs_signature import signature_of_tfjs
from pipeline.core.artifact import TFJS_PRECISIONS, Precision
from pipeline.core.errors import ConversionFailed
from tests.integration.exported import Exported, export


def converted(
    exported: Exported, into: Path, precision: Precision, *, keep_float: tuple[str, ...] = ()
) -> dict[str, Any]:
    into.mkdir()
    source = exported.saved_model
    tfjs_from_saved_model(
        source.path, into=into, signature=source.signature, precision=precision, keep_float=keep_float
    )
    model: dict[str, Any] = json.loads((into / MODEL_FILE).read_text())
    return model


@pytest.mark.parametrize("precision", TFJS_PRECISIONS)
def test_names_dtypes_and_shapes_are_the_saved_models(
    small: Exported, pairs: Exported, tmp_path: Path, precision: Precision
) -> None:
    """The browser pairs by this block; a graph model's own tensor names say nothing."""
    for exported in (small, pairs):
        folder = tmp_path / exported.saved_model.model
        found = signature_of_tfjs(converted(exported, folder, precision)["signature"], "serving_default")
        want = exported.saved_model.signature
        assert sorted(found.inputs, key=str) == sorted(want.inputs, key=str)
        assert sorted(found.outputs, key=str) == sorted(want.outputs, key=str)


def test_outputs_of_one_shape_have_their_own_names(pairs: Exported, tmp_path: Path) -> None:
    """The converter cannot tell them apart and writes `Identity_1:0`; guessing by position would swap them."""
    model = converted(pairs, tmp_path / "pairs", Precision.FLOAT32)
    nodes = {node["name"]: node for node in model["modelTopology"]["node"]}

    def operation_behind(name: str) -> str:
        node = nodes[model["signature"]["outputs"][name]["name"].partition(":")[0]]
        while node["op"] == "Identity":
            node = nodes[node["input"][0].partition(":")[0]]
        return str(node["op"])

    assert operation_behind("total") in {"Add", "AddV2"}
    assert operation_behind("gap") == "Sub"
    assert model["signature"]["inputs"]["word"]["name"] == "word:0"


@pytest.mark.parametrize(
    ("precision", "bytes_a_weight"),
    [(Precision.FLOAT32, 4), (Precision.FLOAT16, 2), (Precision.UINT16, 2), (Precision.UINT8, 1)],
)
def test_weights_are_stored_as_asked(
    small: Exported, tmp_path: Path, precision: Precision, bytes_a_weight: int
) -> None:
    """The converter passes over a quantization that it does not understand."""
    model = converted(small, tmp_path / "digits", precision)
    (group,) = model["weightsManifest"]
    stored = {weight.get("quantization", {}).get("dtype", weight["dtype"]) for weight in group["weights"]}
    assert precision in stored
    size = sum((tmp_path / "digits" / path).stat().st_size for path in group["paths"])
    # 38,218 weights once batch normalization is folded; constants beside them are a few bytes.
    assert size == pytest.approx(bytes_a_weight * small.model.count_params(), rel=0.02)


def test_a_layer_that_is_kept_in_float_is_stored_in_float_and_no_other(small: Exported, tmp_path: Path) -> None:
    """A pattern that matches nothing, or too much, would leave no trace but the size."""
    model = converted(small, tmp_path / "digits", Precision.UINT8, keep_float=("features",))
    (group,) = model["weightsManifest"]
    floats = {w["name"] for w in group["weights"] if w["dtype"] == "float32" and "quantization" not in w}
    assert len(floats) == 2
    assert all("/features_1/" in name for name in floats)
    stored = sum((tmp_path / "digits" / path).stat().st_size for path in group["paths"])
    assert stored == pytest.approx(small.model.count_params() + 3 * 513 * 64, rel=0.02)
    assert {file.name for file in (tmp_path / "digits").iterdir()} == {MODEL_FILE, *group["paths"]}


def test_no_operation_is_left_that_fails_in_tfjs(small: Exported, tmp_path: Path) -> None:
    """TF.js 4.22 lists EnsureShape, and fails when it meets one."""
    model = converted(small, tmp_path / "digits", Precision.FLOAT32)
    assert "EnsureShape" not in {node["op"] for node in model["modelTopology"]["node"]}


def test_the_same_saved_model_gives_the_same_files(small: Exported, tmp_path: Path) -> None:
    """Otherwise a rerun would make every later step anew."""
    for folder in ("once", "again"):
        converted(small, tmp_path / folder, Precision.UINT8)
    files = [sorted(path.name for path in (tmp_path / folder).iterdir()) for folder in ("once", "again")]
    assert files[0] == files[1]
    for name in files[0]:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_an_operation_that_tfjs_lacks_is_named(tmp_path: Path) -> None:
    """Found in the browser, it would be one line on a console that nobody reads."""
    import keras
    import numpy as np
    import tensorflow as tf

    class Sizes(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
        def call(self, given: Any) -> Any:
            return tf.linalg.svd(given, compute_uv=False)[:, 0]

        def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
            return shape[:1]

    given = keras.Input((4, 4), name="a")
    samples = {"a": np.ones((3, 4, 4), np.float32)}
    exported = export(
        keras.Model(given, Sizes()(given)), tmp_path / "shoelace", samples=samples, answers={"y": np.zeros(3)}
    )
    with pytest.raises(ConversionFailed, match=r"shoelace tfjs float32: .*Svd"):
        converted(exported, tmp_path / "js", Precision.FLOAT32)
    assert list((tmp_path / "js").iterdir()) == []


def test_a_lookup_layer_that_was_adapted_to_data_converts(tmp_path: Path) -> None:
    """It keeps the table that it counted in, which no input leads to: no model with it reached the browser."""
    import keras
    import numpy as np

    lookup = keras.layers.StringLookup(output_mode="one_hot")
    lookup.adapt(np.array(["Rome", "Bern", "Rome"]))
    city = keras.Input((1,), dtype="string", name="city")
    exported = export(
        keras.Model(city, keras.layers.Dense(2)(lookup(city))),
        tmp_path / "cities",
        samples={"city": np.array([[b"Rome"], [b"Bern"]], dtype=object)},
        answers={"y": np.zeros((2, 2))},
    )
    assert len(converted(exported, tmp_path / "js", Precision.FLOAT32)["initializerSignature"]["outputs"]) == 1


def test_a_table_of_integers_beyond_32_bits_is_refused(tmp_path: Path) -> None:
    """Its key 2^33 + 1 became 1 and took the place of that: the browser answered for another number, without a word."""
    import keras
    import numpy as np

    number = keras.Input((1,), dtype="int64", name="number")
    exported = export(
        keras.Model(number, keras.layers.IntegerLookup(vocabulary=[1, 2**33 + 1])(number)),
        tmp_path / "numbers",
        samples={"number": np.array([[1]])},
        answers={"y": np.zeros((1, 1))},
    )
    with pytest.raises(ConversionFailed, match="a lookup table holds 1 integers beyond 32 bits, such as 8589934593"):
        converted(exported, tmp_path / "js", Precision.FLOAT32)


def test_a_precision_of_the_edge_is_refused(small: Exported, tmp_path: Path) -> None:
    """The converter would write float32, and the report call it int8."""
    with pytest.raises(
        ConversionFailed, match=r"digits tfjs int8: TF\.js stores weights as float32, float16, uint16, uint8"
    ):
        converted(small, tmp_path / "digits", Precision.INT8)


def test_the_remedy_leaves_nothing_behind(repository: Path) -> None:
    """An empty `jax` that stayed would make Keras, and anything imported later, believe that JAX is there."""
    script = """
import sys
from export.tensorflowjs_import import graph_model_converter
assert graph_model_converter().convert_tf_saved_model
left = [name for name in sys.modules if name.partition(".")[0] in ("jax", "flax", "tensorflow_decision_forests")]
assert not left, left
try:
    import jax
except ModuleNotFoundError:
    print("clean")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "clean", done.stderr
