"""One digest over source files of ours: changed code makes what it made stale."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def source_digest(*relative: str) -> str:
    """One SHA-256 (hex) over Python files of the project, and over all of those below folders of it."""
    files = [file for name in relative for file in _python_files(_ROOT / name)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _python_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    foreign = {"node_modules", ".venv", ".node"}
    return sorted(
        Path(folder, name)
        for folder, _, names in _walk_without(path, foreign)
        for name in names
        if name.endswith(".py")
    )


def _walk_without(path: Path, foreign: set[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    for folder, below, names in os.walk(path):
        below[:] = [name for name in below if name not in foreign]
        yield folder, below, names
