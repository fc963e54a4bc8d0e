"""Weights are written as TF.js reads them, and read again they are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.tfjs_weights import read_weights, write_weights
from pipeline.core.artifact import Precision

RANDOM = np.random.default_rng(0)
LARGE = RANDOM.normal(size=(1200, 1000)).astype(np.float32)  # 4.8 MB: more than a shard
WORDS = np.array([b"a", b"", "ä".encode()], object)


def test_weights_of_every_kind_come_back_as_they_were(tmp_path: Path) -> None:
    weights = {
        "large": LARGE,
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.array(2.5, np.float32),
        "mask": np.array([True, False]),
        "words": WORDS,
        "last": np.arange(5, dtype=np.int32),
    }
    manifest = write_weights(weights.items(), into=tmp_path, precision=Precision.FLOAT32)
    again = dict(read_weights(tmp_path, manifest))

    assert [path for group in manifest for path in group["paths"]] == ["group1-shard1of2.bin", "group1-shard2of2.bin"]
    assert list(again) == list(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(again[name], array)


def test_wide_numbers_are_narrowed_and_unknown_ones_refused(tmp_path: Path) -> None:
    wide = {"long": np.arange(3, dtype=np.int64), "double": np.ones(2)}
    (group,) = write_weights(wide.items(), into=tmp_path, precision=Precision.FLOAT32)
    assert [entry["dtype"] for entry in group["weights"]] == ["int32", "float32"]
    with pytest.raises(ValueError, match="has no uint32, which the constant odd is"):
        write_weights({"odd": np.ones(2, np.uint32)}.items(), into=tmp_path, precision=Precision.FLOAT32)


def test_integers_that_would_be_cut_off_are_refused(tmp_path: Path) -> None:
    """2^33 + 1 became 1, and the model answered for another number."""
    ends = {"ends": np.array([np.iinfo(np.int64).min, -3, np.iinfo(np.int64).max])}
    manifest = write_weights(ends.items(), into=tmp_path, precision=Precision.FLOAT32)
    assert dict(read_weights(tmp_path, manifest))["ends"].tolist() == [-(2**31), -3, 2**31 - 1]
    with pytest.raises(ValueError, match="the constant wide holds 8589934593"):
        write_weights({"wide": np.array([1, 2**33 + 1])}.items(), into=tmp_path, precision=Precision.FLOAT32)


def test_only_float32_is_stored_smaller_and_not_what_is_kept(tmp_path: Path) -> None:
    weights = {"w": LARGE, "kept": LARGE[:2], "n": np.arange(3, dtype=np.int32), "mask": np.array([True, False])}
    (group,) = write_weights(
        weights.items(), into=tmp_path, precision=Precision.FLOAT16, kept=lambda name: name == "kept"
    )
    assert [entry.get("quantization", {}).get("dtype") for entry in group["weights"]] == ["float16", None, None, None]
    stored = sum((tmp_path / path).stat().st_size for path in group["paths"])
    assert stored == LARGE.size * 2 + LARGE[:2].nbytes + 12 + 2


def test_whole_numbers_are_written_piece_by_piece_as_at_once(tmp_path: Path) -> None:
    """Otherwise a large weight would have a seam in it."""
    (group,) = write_weights({"w": LARGE}.items(), into=tmp_path, precision=Precision.UINT8)
    entry = group["weights"][0]["quantization"]
    stored = np.fromfile(tmp_path / group["paths"][0], np.uint8).reshape(LARGE.shape)
    again = stored * entry["scale"] + entry["min"]
    assert (entry["dtype"], stored.min(), stored.max()) == ("uint8", 0, 255)
    assert np.abs(again - LARGE).max() <= entry["scale"] * (0.5 + 1e-6)


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.UINT8])
def test_small_integers_are_whole_numbers_of_tfjs_in_their_own_bytes(tmp_path: Path, precision: Precision) -> None:
    """Weights of `quantize("int8")` in an embedding were refused, though TF.js has int32 for them."""
    kinds = ("int8", "uint8", "int16", "uint16")
    ends = {kind: np.array([np.iinfo(kind).min, 0, np.iinfo(kind).max], kind) for kind in kinds}
    (group,) = write_weights(ends.items(), into=tmp_path, precision=precision)

    assert {entry["dtype"] for entry in group["weights"]} == {"int32"}
    assert sum((tmp_path / path).stat().st_size for path in group["paths"]) == 3 + 3 + 6 + 6
    again = dict(read_weights(tmp_path, [group]))
    for kind, array in ends.items():
        assert again[kind].dtype == array.dtype
        np.testing.assert_array_equal(again[kind], array)
