"""The user's own samples are read by rows, and held against the signature; what does not fit says where."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.core.errors import UsageError
from pipeline.core.signature import TensorSpec
from pipeline.samples.from_files import Given, looks_of, read_samples, samples_digest

IMAGE = TensorSpec(name="image", dtype="float32", shape=(None, 4, 6, 3))
WORD = TensorSpec(name="word", dtype="int32", shape=(None, None))
TEXT = TensorSpec(name="text", dtype="string", shape=(None,))


def read(
    path: Path, *inputs: TensorSpec, count: int = 100, labels: bool = False, **ranges: tuple[float, float]
) -> Given:
    return read_samples(path, inputs, count=count, labels=labels, ranges=ranges)


def npz(tmp_path: Path, **arrays: NDArray[Any]) -> Path:
    named: dict[str, Any] = dict(arrays)
    np.savez(tmp_path / "samples.npz", **named)
    return tmp_path / "samples.npz"


def test_arrays_of_an_npz_go_to_the_inputs_of_their_names(tmp_path: Path) -> None:
    images, words = np.random.default_rng(0).random((5, 4, 6, 3), dtype=np.float32), np.arange(10, dtype=np.int32)
    given = read(npz(tmp_path, word=words.reshape(5, 2), image=images), IMAGE, WORD)
    assert np.array_equal(given.inputs["image"], images)
    assert np.array_equal(given.inputs["word"], words.reshape(5, 2))
    assert given.total == 5


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_rows_taken_are_spread_evenly(tmp_path: Path, save: Any) -> None:
    """The first rows of a file that is sorted by class would all be of one class."""
    save(tmp_path / "samples.npz", word=np.arange(1000, dtype=np.int32).reshape(500, 2))
    given = read(tmp_path / "samples.npz", WORD, count=5)
    assert given.inputs["word"][:, 0].tolist() == [0, 200, 400, 600, 800]
    assert given.total == 500


def test_a_file_larger_than_what_is_wanted_is_never_in_memory(tmp_path: Path) -> None:
    path = npz(tmp_path, image=np.ones((20_000, 4, 6, 3), dtype=np.float32))
    tracemalloc.start()
    try:
        read(path, IMAGE, count=10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 4


def test_an_npy_is_the_only_inputs(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros((3, 4, 6, 3), np.float32))
    assert read(tmp_path / "one.npy", IMAGE).inputs["image"].shape == (3, 4, 6, 3)
    with pytest.raises(UsageError, match="values of one input, and the model has 2"):
        read(tmp_path / "one.npy", IMAGE, WORD)


def test_labels_come_along_when_they_are_asked_for(tmp_path: Path) -> None:
    path = npz(tmp_path, word=np.zeros((3, 2), np.int32), labels=np.array([2, 0, 1]))
    labels = read(path, WORD, labels=True).labels
    assert labels is not None
    assert labels.tolist() == [2, 0, 1]
    assert read(path, WORD).labels is None


def test_text_is_read_as_bytes(tmp_path: Path) -> None:
    given = read(npz(tmp_path, text=np.array(["Größe", ""])), TEXT)
    assert given.inputs["text"].tolist() == ["Größe".encode(), b""]


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.zeros((3, 4, 6, 1), np.float32), r"samples of shape \[4, 6, 1\], the model takes \[4, 6, 3\]"),
        (np.zeros((3, 6, 3), np.float32), r"samples of shape \[6, 3\]"),
        (np.zeros((3, 4, 6, 3)), "is float64, the model takes float32"),
        (
            np.full((3, 4, 6, 3), np.nan, np.float32),
            r"216 numbers that are NaN or infinite, the first at \(0, 0, 0, 0\)",
        ),
        (np.zeros((0, 4, 6, 3), np.float32), "holds no samples"),
        (np.array([{}, {}], dtype=object), "Python objects"),
        (np.asfortranarray(np.zeros((3, 4, 6, 3), np.float32)), "column by column"),
        (np.float32(1), "is one number"),
    ],
    ids=["shape", "rank", "dtype", "nan", "none", "objects", "fortran", "scalar"],
)
def test_what_does_not_fit_the_signature_says_so(tmp_path: Path, array: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        read(npz(tmp_path, image=array), IMAGE)


def test_wrong_names_are_shown_beside_the_right_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds `picture`, the model takes `image` float32 \[4, 6, 3\]"):
        read(npz(tmp_path, picture=np.zeros((3, 4, 6, 3), np.float32)), IMAGE)


def test_arrays_of_unequal_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not have the same number of rows"):
        read(npz(tmp_path, image=np.zeros((3, 4, 6, 3), np.float32), word=np.zeros((2, 2), np.int32)), IMAGE, WORD)


def test_a_damaged_npz_is_named(tmp_path: Path) -> None:
    path = npz(tmp_path, image=np.zeros((3, 4, 6, 3), np.float32))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UsageError, match="cannot be read"):
        read(path, IMAGE)


def test_an_npz_whose_member_is_cut_short_is_named(tmp_path: Path) -> None:
    whole = npz(tmp_path, image=np.zeros((3, 4, 6, 3), np.float32))
    with zipfile.ZipFile(whole) as archive:
        content = archive.read("image.npy")
    with zipfile.ZipFile(tmp_path / "short.npz", "w") as archive:
        archive.writestr("image.npy", content[:-10])
    with pytest.raises(UsageError, match="ends before its last row"):
        read(tmp_path / "short.npz", IMAGE)


@pytest.mark.parametrize("flag", [1 << 0, None], ids=["encrypted", "unknown packing"])
def test_an_npz_that_python_cannot_unpack_is_named(tmp_path: Path, flag: int | None) -> None:
    """Python raises RuntimeError and NotImplementedError for these, and a fault of ours was reported."""
    content = bytearray(npz(tmp_path, image=np.zeros((3, 4, 6, 3), np.float32)).read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    for header, flags in ((0, 6), (entry, 8)):
        if flag is not None:
            content[header + flags] |= flag
        else:
            content[header + flags + 2] = 97
    (tmp_path / "packed.npz").write_bytes(content)
    assert looks_of(tmp_path / "packed.npz") == ()
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "packed.npz", IMAGE)


def test_labels_that_are_asked_for_and_not_there_are_missed_by_name(tmp_path: Path) -> None:
    """It said that the file holds `image`, and that the model takes `image`."""
    path = npz(tmp_path, image=np.zeros((3, 4, 6, 3), np.float32))
    with pytest.raises(UsageError, match="holds `image`, but no `labels`"):
        read(path, IMAGE, labels=True)


def test_images_are_resized_and_scaled_to_the_range(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (30, 20), (255 if number == 1 else 0, 0, 0)).save(tmp_path / f"{number}.png")
    images = read(tmp_path, IMAGE).inputs["image"]
    assert images.shape == (3, 4, 6, 3)
    assert images[1, 0, 0].tolist() == [1.0, 0.0, 0.0]
    assert read(tmp_path, IMAGE, image=(-1.0, 1.0)).inputs["image"][1, 0, 0].tolist() == [1.0, -1.0, -1.0]
    pixels = TensorSpec(name="image", dtype="uint8", shape=(None, 4, 6, 1))
    assert read(tmp_path, pixels).inputs["image"].max() == 76


def test_images_for_what_is_no_image_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "0.png")
    with pytest.raises(UsageError, match="images do not fit the input `word`"):
        read(tmp_path, WORD)


def test_a_grey_image_of_16_bits_keeps_its_shades(tmp_path: Path) -> None:
    """Pillow makes all above 255 of 65535 white: a medical or depth image would be one white area, in silence."""
    shades = np.linspace(0, 65535, 24).reshape(4, 6).astype(np.uint16)
    Image.fromarray(shades).save(tmp_path / "0.png")
    images = read(tmp_path, IMAGE).inputs["image"]
    np.testing.assert_allclose(images[0, ..., 2], shades / 65535, atol=1e-6)
    grey = TensorSpec(name="image", dtype="uint8", shape=(None, 4, 6, 1))
    assert np.abs(read(tmp_path, grey).inputs["image"][0, ..., 0] - shades / 257).max() <= 0.5


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_images_that_do_not_say_what_is_white_are_refused(tmp_path: Path, dtype: type[np.generic]) -> None:
    Image.fromarray(np.full((4, 6), 3000, dtype)).save(tmp_path / "0.tif")
    with pytest.raises(UsageError, match=r"0\.tif holds numbers of 32 bits"):
        read(tmp_path, IMAGE)


def test_an_image_that_no_memory_holds_is_named(tmp_path: Path) -> None:
    """Pillow's DecompressionBombError ended in a fault of ours."""
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    with pytest.raises(UsageError, match=r"huge\.png cannot be read as an image: .* exceeds limit"):
        read(tmp_path, IMAGE)


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"broken\.png cannot be read as an image"):
        read(tmp_path, IMAGE)


def test_a_table_gives_columns_to_inputs(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age,island,mass_0,mass_1,labels\n30,Dream,1.5,2,0\n41,Biscoe,3,4,1\n")
    inputs = (
        TensorSpec(name="age", dtype="int64", shape=(None,)),
        TensorSpec(name="island", dtype="string", shape=(None, 1)),
        TensorSpec(name="mass", dtype="float32", shape=(None, 2)),
    )
    given = read(tmp_path / "t.csv", *inputs, labels=True)
    assert given.inputs["age"].tolist() == [30, 41]
    assert given.inputs["island"].tolist() == [[b"Dream"], [b"Biscoe"]]
    assert given.inputs["mass"].tolist() == [[1.5, 2.0], [3.0, 4.0]]
    assert given.labels is not None
    assert given.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a,b\n1,2\n", "has the columns a, b"),
        ("x\n1\n\nmany\n", r"t\.csv, line 4, column `x`: 'many' is no float32"),
        ("x\n1_0\n", "line 2, column `x`: '1_0' is no float32"),
        ("x\nnan\n1\n", "NaN or infinite"),
        ("x,labels\n1\n", "line 2: it has 1 values, the header 2 names"),
        ("", "is empty"),
        ("0.5\n0.25\n", "starts with numbers, not with names: 0.5"),
        ("x;y\n1;2\n", "has one column, `x;y`"),
        ("x,x\n1,2\n", "several columns called x"),
    ],
)
def test_a_table_that_does_not_fit_says_where(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UsageError, match=complaint):
        read(tmp_path / "t.csv", TensorSpec(name="x", dtype="float32", shape=(None,)))


def test_columns_that_pandas_numbered_are_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("0,1\n0.5,2\n")
    given = read(tmp_path / "t.csv", TensorSpec(name="x", dtype="float32", shape=(None, 2)))
    assert given.inputs["x"].tolist() == [[0.5, 2.0]]


def test_other_files_and_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "samples.txt").write_text("1 2 3")
    with pytest.raises(UsageError, match="not read from such a file"):
        read(tmp_path / "samples.txt", IMAGE)
    with pytest.raises(UsageError, match="nothing at that path"):
        samples_digest(tmp_path / "absent.npz")
    with pytest.raises(UsageError, match="holds no images"):
        samples_digest(tmp_path)


def test_a_changed_file_has_another_digest(tmp_path: Path) -> None:
    path = npz(tmp_path, word=np.zeros((3, 2), np.int32))
    before = samples_digest(path)
    npz(tmp_path, word=np.zeros((4, 2), np.int32))
    assert samples_digest(path) != before
