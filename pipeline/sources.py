"""What `tripoint adopt` was given: told apart by what lies there, without importing or loading any of it."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import msgspec

from pipeline.adoption import LONGEST_NAME, Adopted, SourceKind
from pipeline.core.errors import UsageError
from pipeline.core.unreadable import unreadable_named
from pipeline.no_model import SAVED_MODEL_FILE, file_refused, folder_refused, nothing_there
from pipeline.samples.from_files import samples_digest
from pipeline.saved_model_parts import digest_of_saved_model
from pipeline.store import digest_of_tree

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK"
_KERAS_CONFIG = "config.json"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source that is there: its kind, its place as `Adopted.source` has it, its digest, and a name for the model."""

    kind: SourceKind
    place: str
    digest: str
    suggested_name: str


def source_of(asked: str, *, folder: Path) -> Source:
    """Look at what was asked for, relative to `folder`. Raises UsageError, saying what lies there, when it is no model.

    The digest of a builder is one over its Python file, or over all of its module's package.
    """
    path = Path(folder, asked)
    with unreadable_named(asked):
        if path.is_dir():
            return _saved_model(path)
        if path.is_file():
            return _file(path)
        module, _, function = asked.rpartition(":")
        if module and function.isidentifier():
            return _builder(module, function, folder)
        raise nothing_there(asked, path)


def module_digest(module: str, *, folder: Path) -> str:
    """SHA-256 (hex) over the code of `path.py`, or of the whole package of a module. Raises UsageError if not there."""
    if module.endswith(".py"):
        file = Path(folder, module)
        if not file.is_file():
            raise UsageError(f"{module}: there is no such file", hint="correct the path before the colon")
        return hashlib.sha256(file.read_bytes()).hexdigest()
    files = _files_of_package(module, folder)
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def code_digest(custom_objects: Sequence[str], *, folder: Path) -> str | None:
    """One SHA-256 (hex) over the code of the custom objects' modules, `module:name` each; None without any."""
    if not custom_objects:
        return None
    for given in custom_objects:
        if not (given.rpartition(":")[0] and given.rpartition(":")[2].isidentifier()):
            raise UsageError(
                f"--custom-objects {given}: that names no object in a module", hint="write it as module:Class"
            )
    modules = sorted({given.rpartition(":")[0] for given in custom_objects})
    digests = [module_digest(module, folder=folder) for module in modules]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def as_it_lies_now(adopted: Adopted) -> Adopted:
    """The model with the digests of today: what changed is taken in again, what is gone stays as it was."""
    folder = Path(adopted.folder)
    try:
        source = source_of(adopted.source, folder=folder)
        return msgspec.structs.replace(
            adopted,
            source_digest=source.digest,
            code_digest=code_digest(adopted.custom_objects, folder=folder),
            samples_digest=None if adopted.samples is None else samples_digest(Path(adopted.samples)),
        )
    except UsageError:
        return adopted


def _saved_model(path: Path) -> Source:
    folder = path
    if not (path / SAVED_MODEL_FILE).is_file():
        versions = [one for one in path.iterdir() if one.name.isdigit() and (one / SAVED_MODEL_FILE).is_file()]
        if not versions:
            raise folder_refused(path)
        # The one that a model server would serve.
        folder = max(versions, key=lambda version: int(version.name))
    named = folder.resolve()
    name = named.parent.name if named.name.isdigit() else named.name
    return Source(
        kind="saved_model",
        place=str(named),
        digest=digest_of_saved_model(folder),
        suggested_name=_legal_name(name),
    )


def _file(path: Path) -> Source:
    if path.suffix == ".py":
        raise UsageError(
            f"{path} is Python code, and does not say what builds the model",
            hint=f"name the function: {path}:build; a file with MODEL = ModelSpec(...) needs no adopting",
        )
    if path.name == SAVED_MODEL_FILE:
        return _saved_model(path.parent)
    with path.open("rb") as file:
        start = file.read(len(_HDF5))
    kind: SourceKind
    if start == _HDF5:
        kind = "h5"
    elif start.startswith(_ZIP) and _has_keras_config(path):
        kind = "keras"
    else:
        raise file_refused(path)
    return Source(
        kind=kind, place=str(path.resolve()), digest=digest_of_tree(path), suggested_name=_legal_name(path.stem)
    )


def _has_keras_config(path: Path) -> bool:
    """Whether it is a zip with a `config.json`. Raises UsageError when that is damaged, or describes no model."""
    try:
        with zipfile.ZipFile(path) as archive:
            if _KERAS_CONFIG not in archive.namelist():
                return False
            config = json.loads(archive.read(_KERAS_CONFIG))
    except zipfile.BadZipFile as error:
        if not zipfile.is_zipfile(path):
            return False
        raise UsageError(f"{path} is damaged: {error}", hint="copy or save it again") from error
    # Encrypted, packed by a method that Python lacks, no JSON.
    except (RuntimeError, NotImplementedError, ValueError) as error:
        raise UsageError(
            f"{path} is not a model: its {_KERAS_CONFIG} cannot be read ({error})", hint="copy or save it again"
        ) from error
    if not (isinstance(config, dict) and {"class_name", "config"} <= config.keys()):
        raise UsageError(
            f"{path} is not a model: its {_KERAS_CONFIG} is not that of a Keras model",
            hint="save it again with `model.save(...)`",
        )
    return True


def _builder(module: str, function: str, folder: Path) -> Source:
    place = f"{Path(folder, module).resolve()}:{function}" if module.endswith(".py") else f"{module}:{function}"
    return Source(
        kind="builder",
        place=place,
        digest=module_digest(module, folder=folder),
        suggested_name=_legal_name(function),
    )


def _files_of_package(module: str, folder: Path) -> list[Path]:
    """The Python files of the module's topmost package, found without importing it."""
    top, *below = module.split(".")
    spec = _found(top, [str(folder), *sys.path])
    if spec is None:
        raise UsageError(f"{module}: there is no module called {top}", hint="is it installed in this environment?")
    inner: ModuleSpec | None = spec
    for name in below:
        inner = None if inner is None else _found(f"{inner.name}.{name}", list(inner.submodule_search_locations or ()))
    # A package may make its submodules as it is imported, so that one which is not found is no error yet.
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    if not places:
        return [Path(spec.origin)] if spec.origin and spec.origin.endswith(".py") else []
    return sorted(file for place in places for file in place.rglob("*.py") if "site-packages" not in str(file)) or [
        Path(one.origin) for one in (spec, inner) if one is not None and one.origin is not None
    ]


def _found(name: str, places: list[str]) -> ModuleSpec | None:
    return PathFinder.find_spec(name, places)


def _legal_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:LONGEST_NAME].strip("_-") or "model"
