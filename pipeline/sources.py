"""What `tripoint adopt` was given: told apart by what lies there, without importing or loading any of it."""

from __future__ import annotations

import difflib
import hashlib
import re
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import msgspec

from pipeline.adoption import Adopted, SourceKind
from pipeline.core.errors import UsageError
from pipeline.samples.from_files import samples_digest
from pipeline.store import digest_of_tree

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK"
_SAVED_MODEL_FILE = "saved_model.pb"
_KINDS = "a .keras or .h5 file, a SavedModel folder, or module:function that builds a Keras model"
_OTHERS = {
    ".tflite": "a .tflite file is what comes out: adopt the model that it was made from; --beside compares the file",
    ".onnx": "ONNX models are not taken in: adopt the Keras model or SavedModel that it was made from",
    ".pt": "PyTorch models are not taken in",
    ".pth": "PyTorch models are not taken in",
    ".weights": "weights alone are no model: adopt the whole model, saved with `model.save(...)`",
    ".json": "an architecture alone is no model: adopt the whole model, saved with `model.save(...)`",
    ".pb": "a frozen graph has no signature: adopt a SavedModel folder",
}


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
    if path.is_dir():
        return _saved_model(path)
    if path.is_file():
        return _file(path)
    module, _, function = asked.rpartition(":")
    if module and function.isidentifier():
        return _builder(module, function, folder)
    raise _nothing_there(asked, path)


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
    if not (path / _SAVED_MODEL_FILE).is_file():
        versions = [one for one in path.iterdir() if one.name.isdigit() and (one / _SAVED_MODEL_FILE).is_file()]
        if not versions:
            content = ", ".join(sorted(one.name for one in path.iterdir())[:5]) or "nothing"
            raise UsageError(
                f"{path} is not a SavedModel: it holds {content}, but no {_SAVED_MODEL_FILE}",
                hint=f"give {_KINDS}",
            )
        # The one that a model server would serve.
        folder = max(versions, key=lambda version: int(version.name))
    named = folder.resolve()
    name = named.parent.name if named.name.isdigit() else named.name
    return Source(kind="saved_model", place=str(named), digest=digest_of_tree(folder), suggested_name=_legal_name(name))


def _file(path: Path) -> Source:
    if path.suffix == ".py":
        raise UsageError(
            f"{path} is Python code, and does not say what builds the model",
            hint=f"name the function: {path}:build; a file with MODEL = ModelSpec(...) needs no adopting",
        )
    if path.name == _SAVED_MODEL_FILE:
        return _saved_model(path.parent)
    with path.open("rb") as file:
        start = file.read(len(_HDF5))
    kind: SourceKind
    if start == _HDF5:
        kind = "h5"
    elif start.startswith(_ZIP) and _has_keras_config(path):
        kind = "keras"
    else:
        raise UsageError(f"{path} is not a model: {_what_it_is(path, start)}", hint=_hint_for(path))
    return Source(
        kind=kind, place=str(path.resolve()), digest=digest_of_tree(path), suggested_name=_legal_name(path.stem)
    )


def _has_keras_config(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "config.json" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def _what_it_is(path: Path, start: bytes) -> str:
    if not start:
        return "the file is empty"
    if start.startswith(_ZIP):
        damaged = "it starts like a .keras file, but is cut short or damaged"
        return "it is a zip file without a Keras config.json" if zipfile.is_zipfile(path) else damaged
    if path.suffix in {".keras", ".h5", ".hdf5"}:
        return f"in spite of its name it starts with {start!r}"
    return f"it starts with {start!r}"


def _hint_for(path: Path) -> str:
    suffixes = path.name.partition(".")[2]
    known = next((hint for suffix, hint in _OTHERS.items() if f".{suffixes}".endswith(suffix)), None)
    return known or f"give {_KINDS}; a damaged file has to be copied or saved again"


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


def _nothing_there(asked: str, path: Path) -> UsageError:
    parent = path.parent
    there = [one.name for one in parent.iterdir()] if parent.is_dir() else []
    near = difflib.get_close_matches(path.name, there, n=1)
    return UsageError(
        f"{asked}: there is nothing at that path",
        hint=f"did you mean `{Path(asked).with_name(near[0])}`?" if near else f"give {_KINDS}",
    )


def _legal_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-") or "model"
