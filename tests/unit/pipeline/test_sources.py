"""What `tripoint adopt` is given and cannot take is told apart before anything is loaded, with what to give instead."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pipeline.adoption import LONGEST_NAME, check_name
from pipeline.core.errors import UsageError
from pipeline.saved_model_parts import copy_saved_model
from pipeline.sources import source_of

CONFIG = '{"class_name": "Functional", "config": {}}'


def _keras(path: Path, config: str = CONFIG, **others: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
        for name, content in others.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("name", "content", "complaint", "mend"),
    [
        ("m.keras", b"version https://git-lfs.github.com/spec/v1\noid", "pointer of Git LFS", "git lfs pull"),
        ("m.keras", b"<!DOCTYPE html>", "web page", "download the file again"),
        ("m.keras.gz", b"\x1f\x8b\x08", "compressed", "unpack it first"),
        ("m.h5", b"hello", "in spite of its name it starts with b'hello'", "saved again"),
        ("m.keras", b"", "the file is empty", "saved again"),
        ("model.json", b"{}", "starts with", "a TF.js model is what comes out"),
        ("arch.json", b"{}", "starts with", "an architecture alone"),
        ("checkpoint", b"model_", "starts with", "a training checkpoint"),
        ("m.index", b"\0", "starts with", "a training checkpoint"),
        ("m.data-00000-of-00001", b"\1", "starts with", "a training checkpoint"),
        ("m.safetensors", b"\2", "starts with", "weights alone"),
        ("m.pkl", b"\x80", "starts with", "a pickle"),
    ],
)
def test_a_file_that_is_no_model_says_what_it_is(
    name: str, content: bytes, complaint: str, mend: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=complaint) as refused:
        source_of(name, folder=tmp_path)
    assert mend in refused.value.hint


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ("[1, 2]", "not that of a Keras model"),
        ("null", "not that of"),
        ("{}", "not that of"),
        ("{no", "cannot be read"),
    ],
)
def test_a_keras_file_that_describes_no_model_is_refused(config: str, complaint: str, tmp_path: Path) -> None:
    """Keras met a list where it looked for a name, and that was all that one was told."""
    _keras(tmp_path / "m.keras", config)
    with pytest.raises(UsageError, match=f"config.json .*{complaint}"):
        source_of("m.keras", folder=tmp_path)


def test_a_zip_around_a_model_is_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("folder/saved_model.pb", b"")
    with pytest.raises(UsageError, match=r"holds folder/saved_model\.pb, to be unpacked first"):
        source_of("m.zip", folder=tmp_path)


def test_a_damaged_config_is_no_other_kind_of_file(tmp_path: Path) -> None:
    _keras(tmp_path / "m.keras")
    content = bytearray((tmp_path / "m.keras").read_bytes())
    content[content.index(b"Functional")] ^= 1
    (tmp_path / "m.keras").write_bytes(content)
    with pytest.raises(UsageError, match="is damaged: Bad CRC-32"):
        source_of("m.keras", folder=tmp_path)


@pytest.mark.parametrize(
    ("held", "mend"),
    [
        (["config.json", "model.weights.h5"], "python -m zipfile -c"),
        (["checkpoint", "ckpt-1.index"], "a training checkpoint"),
        (["model.json", "group1-shard1of2.bin"], "a TF.js model is what comes out"),
        (["a.keras", "b.keras"], "give one of what is in it: a.keras, b.keras"),
        (["notes.txt"], "a SavedModel folder"),
    ],
)
def test_a_folder_that_is_no_saved_model_says_what_to_give(held: list[str], mend: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in held:
        (folder / name).touch()
    with pytest.raises(UsageError, match="is not a SavedModel") as refused:
        source_of("folder", folder=tmp_path)
    assert mend in refused.value.hint


def test_inside_a_saved_model_the_folder_around_is_meant(tmp_path: Path) -> None:
    _saved_model(tmp_path)
    with pytest.raises(UsageError) as refused:
        source_of("variables", folder=tmp_path)
    assert refused.value.hint == f"give the folder around it: {tmp_path}"


@pytest.mark.parametrize(
    ("asked", "complaint", "mend"),
    [
        ("https://example.com/m.keras", "is an address", "download it first"),
        ("nets.py:build()", "nothing at that path", "without brackets: nets.py:build"),
        ("nets.build", "nothing at that path", "after a colon: nets.py:build"),
        ("lost.keras", "is a link to gone.keras, where nothing is", "correct the link"),
        ("round.keras", "is a link to round.keras", "correct the link"),
        ("/dev/null", "neither a file nor a folder", "give a .keras"),
        ("n" * 5000, "cannot be read: File name too long", "another path"),
    ],
)
def test_where_nothing_is_that_could_be_opened(asked: str, complaint: str, mend: str, tmp_path: Path) -> None:
    """A link to nothing was told to mean itself, and a name that is too long ended in a fault of ours."""
    (tmp_path / "nets.py").touch()
    (tmp_path / "lost.keras").symlink_to("gone.keras")
    (tmp_path / "round.keras").symlink_to("round.keras")
    with pytest.raises(UsageError, match=complaint) as refused:
        source_of(asked, folder=tmp_path)
    assert mend in refused.value.hint
    assert len(refused.value.problem) < 300


def test_what_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Path, *args: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    _keras(tmp_path / "m.keras")
    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(UsageError, match=r"m\.keras cannot be read: Permission denied") as refused:
        source_of("m.keras", folder=tmp_path)
    assert "make it readable" in refused.value.hint


def _saved_model(folder: Path) -> None:
    (folder / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/variables.index"):
        (folder / name).write_text(name)


def test_of_a_folder_only_the_saved_model_counts(tmp_path: Path) -> None:
    """A link to the folder above, as one left it there, was followed for half a minute and then filled the disk."""
    saved = tmp_path / "saved"
    _saved_model(saved)
    before = source_of("saved", folder=tmp_path).digest
    (saved / "up").symlink_to("..")
    (saved / "notes.txt").write_text("later")
    assert source_of("saved", folder=tmp_path).digest == before
    copy_saved_model(saved, tmp_path / "copy")
    assert sorted(path.name for path in (tmp_path / "copy").rglob("*")) == [
        "saved_model.pb",
        "variables",
        "variables.index",
    ]
    (saved / "variables/variables.index").write_text("other")
    assert source_of("saved", folder=tmp_path).digest != before


def test_a_name_leaves_room_for_the_files_that_are_called_after_it(tmp_path: Path) -> None:
    """Of 250 characters, the model could be taken in, and its .tflite file could not be written."""
    _keras(tmp_path / f"{'n' * 240}.keras")
    suggested = source_of(f"{'n' * 240}.keras", folder=tmp_path).suggested_name
    assert len(suggested) == LONGEST_NAME
    check_name(suggested, taken={})
    with pytest.raises(UsageError, match="has 101 characters"):
        check_name("n" * 101, taken={})
