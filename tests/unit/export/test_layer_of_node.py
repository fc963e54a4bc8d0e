"""Nodes are told to come from the layer that made them, in every style of names that Keras writes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from export.layer_of_node import LayerNames, layer_names_of_keras, layer_of_node

NAMES = LayerNames(model="net", layers=frozenset({"dense", "dense_1", "encoder", "mha", "query"}))


@pytest.mark.parametrize(
    ("node", "layer"),
    [
        ("net_1/dense_1/MatMul", "dense"),
        ("net_1/dense_1_1/MatMul", "dense_1"),
        ("StatefulPartitionedCall/net_1/mha_1/einsum/Einsum", "mha"),
        ("StatefulPartitionedCall_2/net_1/encoder_1/dense_1/BiasAdd:0", "encoder/dense"),
        ("net_1/mha_1/query_1/MatMul", "mha/query"),
        ("net_1/mha_1/PartitionedCall/Erfc", "mha"),
        ("net/dense/MatMul", "dense"),
        ("net/dense_1/MatMul", "dense_1"),
        ("^net/encoder/dense/MatMul", "encoder/dense"),
        ("net_1/add", ""),
        ("Identity", ""),
        ("strange/scope/MatMul", "strange/scope"),
    ],
)
def test_a_node_is_told_to_come_from_its_layer(node: str, layer: str) -> None:
    assert layer_of_node(node, NAMES) == layer


def test_without_the_model_scopes_stand_as_they_are() -> None:
    assert layer_of_node("StatefulPartitionedCall/net_1/dense_1/MatMul") == "net_1/dense_1"


def test_names_of_submodels_and_wrapped_layers_are_read_from_the_file(tmp_path: Path) -> None:
    inner = {"class_name": "Dense", "config": {"name": "dense"}}
    wrapped = {"class_name": "TimeDistributed", "config": {"name": "each", "layer": inner}}
    submodel = {"class_name": "Sequential", "config": {"name": "encoder", "layers": [wrapped]}}
    config = {"class_name": "Functional", "config": {"name": "net", "layers": [submodel]}}
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))

    names = layer_names_of_keras(tmp_path / "net.keras")

    assert names.model == "net"
    assert {"dense", "each", "encoder"} <= names.layers
