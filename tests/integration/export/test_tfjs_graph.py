"""Keeping large weights beside the graph changes nothing of what TF.js gets: the converter itself gives the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export import tfjs_graph as tfjs_graph_module
from export.lowered_saved_model import lowered
from export.tensorflowjs_import import graph_model_converter
from export.tfjs_graph import tfjs_graph
from export.tfjs_weights import read_weights
from pipeline.core.artifact import Format
from tests.integration.exported import Exported, export


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Every way in which a large weight is used: convolved, normalized, looked up, multiplied, turned."""
    import keras
    from keras import layers, ops

    class Turned(layers.Layer):  # type: ignore[misc]  # Keras ships no types
        def build(self, shape: Any) -> None:
            self.square = self.add_weight(shape=(300, 300), name="square")

        def call(self, x: Any) -> Any:
            return ops.matmul(x, ops.transpose(self.square))

    keras.utils.set_random_seed(0)
    word = keras.Input((6,), name="word", dtype="int32")
    x = layers.Reshape((2, 3, 300))(layers.Embedding(400, 300)(word))
    x = layers.Conv2D(64, 2, padding="same")(x)
    x = layers.BatchNormalization()(layers.Conv2D(150, 3, padding="same", use_bias=False)(layers.ReLU()(x)))
    x = layers.Conv2D(60, 3, padding="same", activation="relu")(x)
    x = Turned()(layers.Dense(300)(layers.Flatten()(x)))
    model = keras.Model(word, layers.Dense(300, activation="softmax")(x))
    samples = {"word": np.arange(12, dtype=np.int32).reshape(2, 6)}
    answers = {"answer": np.asarray(model(samples["word"]))}
    return export(model, tmp_path_factory.mktemp("large") / "large", samples=samples, answers=answers)


def test_the_graph_and_its_weights_are_the_converter_s(exported: Exported, tmp_path: Path) -> None:
    from google.protobuf.json_format import MessageToDict

    with lowered(exported.saved_model.path, scratch=tmp_path, target=Format.TFJS) as source:
        graph_model_converter().convert_tf_saved_model(str(source.folder), str(tmp_path / "bare"))
        ours = tfjs_graph(source.folder, "serving_default")
    bare = json.loads((tmp_path / "bare/model.json").read_text())
    want = dict(read_weights(tmp_path / "bare", bare["weightsManifest"]))
    assert ours is not None

    got = {node.name: ours.large.value(node) for node in ours.graph.node if node.op == "Const"}
    assert ours.large.count >= 4
    assert list(got) == list(want)
    for name, array in want.items():
        np.testing.assert_array_equal(got[name], array)
    assert _without_values(MessageToDict(ours.graph)) == _without_values(bare["modelTopology"])


def test_no_weight_is_asked_for_twice(exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each further round hands whole weights from pass to pass, which is what takes long."""
    rounds: list[Any] = []
    optimized = tfjs_graph_module._optimized

    def counted(*given: Any) -> Any:
        rounds.append(given)
        return optimized(*given)

    monkeypatch.setattr(tfjs_graph_module, "_optimized", counted)
    with lowered(exported.saved_model.path, scratch=tmp_path, target=Format.TFJS) as source:
        tfjs_graph(source.folder, "serving_default")
    assert len(rounds) == 1


def _without_values(graph: Any) -> Any:
    nodes = [
        {**node, "attr": {key: value for key, value in node.get("attr", {}).items() if key != "value"}}
        for node in graph["node"]
    ]
    # The oldest TensorFlow that may read it is written by one of the two ways only; TF.js does not look.
    return {**graph, "node": nodes, "versions": graph["versions"]["producer"]}
