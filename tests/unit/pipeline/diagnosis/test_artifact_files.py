"""TF.js folders with a fault in their files, named without any runtime; and the weights read from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.signature import Signature, TensorSpec
from pipeline.diagnosis import artifact_files
from pipeline.diagnosis.artifact_weights import held_by, in_other_orders_of_shards

KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)
CODES = np.array([0, 128, 255], np.uint8)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """A graph model of two weights, one of them quantized, in two shards."""
    content = KERNEL.tobytes() + CODES.tobytes()
    (tmp_path / "a.bin").write_bytes(content[:12])
    (tmp_path / "b.bin").write_bytes(content[12:])
    quantized = {"dtype": "uint8", "scale": 0.5, "min": -1.0}
    weights: list[dict[str, Any]] = [
        {"name": "kernel", "shape": [2, 3], "dtype": "float32"},
        {"name": "bias", "shape": [3], "dtype": "float32", "quantization": quantized},
    ]
    tensor = {"name": "x:0", "dtype": "DT_FLOAT", "tensorShape": {"dim": [{"size": "-1"}, {"size": "2"}]}}
    model = {
        "weightsManifest": [{"paths": ["a.bin", "b.bin"], "weights": weights}],
        "signature": {"inputs": {"x": tensor}, "outputs": {"y": tensor | {"name": "y:0"}}},
    }
    (tmp_path / "model.json").write_text(json.dumps(model))
    return Artifact(
        model="tiny",
        format=Format.TFJS,
        precision=Precision.UINT8,
        path=tmp_path,
        signature=Signature(
            name="serving_default",
            inputs=(TensorSpec(name="x", dtype="float32", shape=(None, 2)),),
            outputs=(TensorSpec(name="y", dtype="float32", shape=(None, 2)),),
        ),
        digest="",
        made_from=None,
        size_bytes=0,
    )


def cause(artifact: Artifact) -> str | None:
    found = artifact_files.fact(artifact)
    return None if found is None else found.cause


def test_a_whole_artifact_has_nothing_wrong(artifact: Artifact) -> None:
    assert cause(artifact) is None


def test_a_shard_that_is_cut_short_missing_or_no_json_is_named(artifact: Artifact) -> None:
    shard = artifact.path / "b.bin"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    assert cause(artifact) == "artifact_truncated"
    shard.unlink()
    assert cause(artifact) == "artifact_incomplete"
    shard.write_bytes(whole)
    (artifact.path / "model.json").write_text("<html>404</html>")
    assert cause(artifact) == "artifact_unreadable"


def test_another_signature_is_named(artifact: Artifact) -> None:
    (output,) = artifact.signature.outputs
    renamed = replace(artifact.signature, outputs=(replace(output, name="scores"),))
    more = replace(artifact.signature, outputs=(output, replace(output, name="scores")))
    integer = replace(artifact.signature, outputs=(replace(output, dtype="int32"),))
    found = [cause(replace(artifact, signature=signature)) for signature in (renamed, more, integer)]
    assert found == ["outputs_renamed", "output_missing", "dtype_changed"]


def test_weights_are_read_over_shards_and_as_floats(artifact: Artifact) -> None:
    kernel, bias = held_by(artifact)
    np.testing.assert_array_equal(kernel.values, KERNEL)
    np.testing.assert_array_equal(bias.values, [-1.0, 63.0, 126.5])
    assert (kernel.step, bias.step) == (0.0, 0.25)


def test_shards_are_read_in_every_other_order(artifact: Artifact) -> None:
    ((order, (kernel, _)),) = in_other_orders_of_shards(artifact)
    assert order == "b.bin a.bin"
    np.testing.assert_array_equal(kernel.values.ravel()[:3], KERNEL.ravel()[3:])
