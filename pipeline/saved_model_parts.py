"""Of a folder with a SavedModel, what belongs to the SavedModel: people keep other things beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.store import digest_of_parts

PARTS = ("saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "variables", "assets", "assets.extra")


def digest_of_saved_model(folder: Path) -> str:
    """One SHA-256 (hex) over the files of the SavedModel."""
    return digest_of_parts(folder, PARTS)


def copy_saved_model(folder: Path, into: Path) -> None:
    """Copy the SavedModel, unchanged; what links lead to is copied, too. `into` is made."""
    into.mkdir(parents=True)
    for part in PARTS:
        source = folder / part
        if source.is_dir():
            shutil.copytree(source, into / part)
        elif source.is_file():
            shutil.copy2(source, into / part)
