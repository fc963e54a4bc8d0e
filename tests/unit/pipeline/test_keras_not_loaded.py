"""A Keras file that does not load says what helps, by what Keras raised and by who wrote the file."""

from __future__ import annotations

import json
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from pipeline.adoption import Adopted
from pipeline.keras_not_loaded import hint_on_loading, keras_reason_of, written_by


def _adopted(file: Path, *custom_objects: str) -> Adopted:
    return Adopted(name="m", kind="keras", source=str(file), source_digest="", folder="", custom_objects=custom_objects)


def _written_by(folder: Path, release: str) -> Path:
    file = folder / "m.keras"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": release}))
    return file


def test_what_a_newer_keras_wrote_asks_for_that(tmp_path: Path) -> None:
    """One was told to change the __init__ of a class of one's own, and had none."""
    error = TypeError("Unrecognized keyword arguments passed to Dense: {'lora_alpha': 2}")
    hint = hint_on_loading(_adopted(_written_by(tmp_path, "9.9.0")), error)
    assert "Keras 9.9.0 wrote it, and here is Keras" in hint
    for release in (version("keras"), "2.12.0"):
        assert "class of your own" in hint_on_loading(_adopted(_written_by(tmp_path, release)), error)


@pytest.mark.parametrize(
    ("raised", "given", "helps"),
    [
        (ValueError("Could not deserialize 'keras.layers.New' because it is not a X"), (), "has no keras.layers.New"),
        (TypeError("Could not locate class 'Mine'. Make sure"), (), "module:Class; --trust"),
        (TypeError("Could not locate class 'Mine'. Make sure"), ("a:Other",), "(what is given is called Other)"),
        (MemoryError(), (), "more memory than there is"),
        (ValueError("odd"), (), "save it again"),
    ],
)
def test_what_helps_follows_from_what_keras_raised(
    raised: Exception, given: tuple[str, ...], helps: str, tmp_path: Path
) -> None:
    assert helps in hint_on_loading(_adopted(_written_by(tmp_path, "3.0.0"), *given), raised)


def test_who_wrote_a_file_that_is_none_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"nothing")
    assert written_by(str(tmp_path / "m.keras")) is None


def test_the_reason_is_without_the_models_whole_config() -> None:
    error = TypeError("Could not locate class 'Mine'.\n\nFull object config: {'module': None}")
    assert keras_reason_of(error) == "Could not locate class 'Mine'."
