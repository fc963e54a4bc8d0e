"""Artifacts on disk: one folder a recipe, whole or absent, and never believed without its digests."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import DiskProblem

MANIFEST = "made.json"
MANIFEST_SCHEMA = "tripoint.made/1"
_ASIDE_PREFIX = "aside-"
_DISK_PROBLEMS = {
    errno.ENOSPC: ("the disk is full", "free some space, or set `store.path` in tripoint.toml to another disk"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, or set `store.path` in tripoint.toml elsewhere"),
    errno.EROFS: ("the disk is read-only", "set `store.path` in tripoint.toml to a folder that can be written"),
    errno.EACCES: ("permission denied", "make the folder writable, or set `store.path` in tripoint.toml elsewhere"),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a stage makes. Equal recipes make interchangeable folders."""

    model: str
    stage: str
    ingredients: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The first 16 hex digits of the SHA-256 over the canonical JSON of the recipe."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:16]

    def canonical(self) -> str:
        value = {"model": self.model, "stage": self.stage, "ingredients": self.ingredients}
        return json.dumps(value, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A folder that a stage finished. `facts` is what the stage wants remembered (signature, seconds, versions).

    `files` has the SHA-256 (hex) of every file by its path inside the folder, `digest` is one over all of them.
    """

    path: Path
    facts: Mapping[str, Any]
    files: Mapping[str, str]
    digest: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A finished folder whose files are no longer those that were made."""

    path: Path
    reason: str


class Making:
    """The folder that a stage fills, and the facts that it leaves beside its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = {}


@dataclass(frozen=True, kw_only=True)
class Store:
    """The folder that holds every stage's results, `<root>/<model>/<stage>/<key>/`."""

    root: Path

    def find(self, recipe: Recipe) -> Entry | Broken | None:
        """The finished entry, its digests checked; what is wrong with it; or None when it was never made."""
        folder = self._place(recipe)
        try:
            manifest = json.loads((folder / MANIFEST).read_text())
            files: dict[str, str] = manifest["files"]
            facts, digest = manifest["facts"], manifest["digest"]
        except FileNotFoundError:
            return Broken(path=folder, reason=f"{MANIFEST} is missing") if folder.exists() else None
        except (ValueError, KeyError, TypeError) as damage:
            return Broken(path=folder, reason=f"{MANIFEST} cannot be read ({damage})")
        found, size_bytes = _digests(folder)
        if found != files:
            odd = sorted(name for name in files.keys() | found.keys() if files.get(name) != found.get(name))
            return Broken(path=folder, reason=f"changed since it was made: {', '.join(odd[:3])}")
        # `sweep` goes by when an entry was last of use, not by when it was made.
        os.utime(folder / MANIFEST)
        return Entry(path=folder, facts=facts, files=files, digest=digest, size_bytes=size_bytes)

    @contextmanager
    def making(self, recipe: Recipe) -> Iterator[Making]:
        """Yield a folder aside; when the block ends well it is moved into place, otherwise nothing stays.

        Raises DiskProblem when the disk is full or cannot be written.
        """
        place = self._place(recipe)
        with disk_problems_named(self.root):
            place.parent.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=_ASIDE_PREFIX, dir=place.parent))
        try:
            with disk_problems_named(self.root):
                making = Making(aside)
                yield making
                files, _ = _digests(aside)
                manifest = {
                    "schema": MANIFEST_SCHEMA,
                    "recipe": json.loads(recipe.canonical()),
                    "facts": making.facts,
                    "files": files,
                    "digest": digest_of_files(files),
                    "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                }
                (aside / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
                aside.chmod(0o755)
                if place.exists():
                    shutil.rmtree(place)
                aside.replace(place)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def newest(self, model: str, stage: str) -> list[Path]:
        """The finished folders of a stage, the last used first, not checked."""
        parent = self.root / model / stage
        made = [path.parent for path in parent.glob(f"*/{MANIFEST}")]
        return sorted(made, key=lambda path: (path / MANIFEST).stat().st_mtime_ns, reverse=True)

    def sweep(self, model: str, *, keep: int) -> None:
        """Remove all but the `keep` last used entries of the model's stages, and what killed processes left aside.

        Other models are left alone: another run may be making them just now.
        """
        self.clear_aside(model)
        for stage in (self.root / model).glob("*/"):
            for old in self.newest(stage.parent.name, stage.name)[keep:]:
                shutil.rmtree(old, ignore_errors=True)

    def clear_aside(self, model: str) -> None:
        """Remove what is half made of the model. Nobody may be making anything of it."""
        for aside in (self.root / model).glob(f"*/{_ASIDE_PREFIX}*"):
            shutil.rmtree(aside, ignore_errors=True)

    def _place(self, recipe: Recipe) -> Path:
        return self.root / recipe.model / recipe.stage / recipe.key


@contextmanager
def disk_problems_named(where: Path) -> Iterator[None]:
    """Turn a full, read-only or forbidden disk into an error that says so; other errors pass unchanged."""
    try:
        yield
    except DiskProblem:
        raise
    except Exception as error:
        number = _disk_errno(error)
        if number is None:
            raise
        what, mend = _DISK_PROBLEMS[number]
        free = shutil.disk_usage(_nearest_existing(where)).free
        raise DiskProblem(
            f"{where}: {what} while writing {getattr(error, 'filename', None) or 'an artifact'} "
            f"({free / 1e6:.0f} MB free); nothing half-written was kept",
            hint=mend,
        ) from error


def _disk_errno(error: Exception) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in _DISK_PROBLEMS else None
    # TensorFlow, h5py, the converters and shutil raise errors of their own, which quote the system's words.
    return next((number for number in _DISK_PROBLEMS if os.strerror(number) in str(error)), None)


def digest_of_files(files: Mapping[str, str]) -> str:
    """One SHA-256 (hex) over relative file names and their digests, in sorted order."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def digest_of_tree(folder: Path) -> str:
    """One SHA-256 (hex) over all files below the folder, or of the file itself."""
    if folder.is_file():
        return _digest(folder)
    return digest_of_files(_digests(folder)[0])


def digest_of_parts(folder: Path, parts: Sequence[str]) -> str:
    """The same over those of its files and folders that are named and there."""
    files = {part: _digest(folder / part) for part in parts if (folder / part).is_file()}
    for part in parts:
        files |= {f"{part}/{name}": digest for name, digest in _digests(folder / part)[0].items()}
    return digest_of_files(files)


def _digests(folder: Path) -> tuple[dict[str, str], int]:
    digests: dict[str, str] = {}
    size_bytes = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            if relative != MANIFEST:
                digests[relative] = _digest(path)
                size_bytes += path.stat().st_size
    return digests, size_bytes


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _nearest_existing(path: Path) -> Path:
    return next(candidate for candidate in (path, *path.absolute().parents) if candidate.exists())
