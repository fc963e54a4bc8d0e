"""A model that was made elsewhere: what it is, where it lies and how it is to be taken in, as one frozen value."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline.core.artifact import Precision
from pipeline.core.errors import UsageError
from pipeline.store import MANIFEST, Store

ADOPT = "adopt"
FACT = "adopted"

LONGEST_NAME = 100
"""Characters of a model's name. Files are called after it, and more is put behind it."""

SourceKind = Literal["keras", "h5", "saved_model", "builder"]


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """The values that synthetic samples of an input may take: `low` to `high`, both of them possible."""

    input: str
    low: float
    high: float


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """The size of one sample of an input, for dimensions that the model leaves open."""

    input: str
    sizes: tuple[int, ...]


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """A .tflite file that others made of the same model: its place, its name in the report, digest and precision."""

    path: str
    name: str
    digest: str
    precision: Precision


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """A model by its name, and all that was asked when it was adopted.

    `source` is an absolute path, or `module:function` (`path.py:function`) with modules looked for in `folder` first.
    The digests are SHA-256 (hex): of the source, of the code that it needs, and of what `samples` holds. `after` names
    layers: only the part of the model behind them is taken in, and `samples` are samples of the whole model.
    """

    name: str
    kind: SourceKind
    source: str
    source_digest: str
    folder: str
    code_digest: str | None = None
    signature: str | None = None
    samples: str | None = None
    samples_digest: str | None = None
    count: int | None = None
    ranges: tuple[Range, ...] = ()
    shapes: tuple[Shape, ...] = ()
    labels: bool = False
    scores: str | None = None
    trust: bool = False
    custom_objects: tuple[str, ...] = ()
    seed: int = 0
    beside: tuple[Beside, ...] = ()
    after: tuple[str, ...] = ()

    def ingredients(self) -> dict[str, Any]:
        """What decides what is taken in: contents, not the places where they lie."""
        places = {"name", "source", "folder", "samples", "beside"}
        values = msgspec.to_builtins(self)
        return {key: value for key, value in values.items() if key not in places} | (
            {"function": self.source.rpartition(":")[2]} if self.kind == "builder" else {}
        )

    def to_json(self) -> dict[str, Any]:
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values


def adopted_from_json(value: Mapping[str, Any]) -> Adopted:
    """The value that `Adopted.to_json` gave."""
    return msgspec.convert(value, Adopted)


def command_to_adopt(adopted: Adopted, after: Sequence[str]) -> str:
    """The command line that adopts the same source again, only the part behind these layers."""
    builder = adopted.kind == "builder"
    place, colon, function = adopted.source.rpartition(":") if builder else (adopted.source, "", "")
    words = ["tripoint", "adopt", f"{_from(adopted.folder, place)}{colon}{function}"]
    for layer in after:
        words += ["--after", layer]
    if adopted.name != (function or Path(place).stem):
        words += ["--name", adopted.name]
    if adopted.samples is not None:
        words += ["--samples", _from(adopted.folder, adopted.samples), *(["--labels"] if adopted.labels else [])]
    if adopted.trust:
        words.append("--trust")
    for given in adopted.custom_objects:
        words += ["--custom-objects", given]
    return shlex.join(words)


def _from(folder: str, place: str) -> str:
    """A path as somebody in the folder writes it; a module's name stays as it is."""
    return str(Path(place).relative_to(folder)) if Path(place).is_relative_to(folder) else place


def names(store: Store) -> list[str]:
    """The names under which models were adopted, sorted."""
    return sorted({place.parents[2].name for place in store.root.glob(f"*/{ADOPT}/*/{MANIFEST}")})


def find(name: str, store: Store) -> Adopted | None:
    """The model that was last adopted, or last used, under that name; None when there is none."""
    return next((adopted for adopted in map(taken_in, store.newest(name, ADOPT)) if adopted is not None), None)


def taken_in(folder: Path) -> Adopted | None:
    """What was taken in into that folder of the store; None for one that holds another step, or is damaged."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes())
        return adopted_from_json(manifest["facts"][FACT])
    except (OSError, KeyError, TypeError, msgspec.MsgspecError):
        # The survey reports damaged entries; an older one still says how the model was adopted.
        return None


def check_name(name: str, *, taken: Mapping[str, Path]) -> None:
    """Raise UsageError for a name that cannot be one, or that a model file has."""
    if not (name.isascii() and name.replace("_", "").replace("-", "").isalnum() and name[0].isalnum()):
        raise UsageError(
            f"{name!r} cannot be the name of a model", hint="letters, digits, `_` and `-`: give one with --name"
        )
    if len(name) > LONGEST_NAME:
        raise UsageError(
            f"{name[:LONGEST_NAME]}... cannot be the name of a model: it has {len(name)} characters",
            hint=f"give one of at most {LONGEST_NAME} with --name",
        )
    if name in taken:
        raise UsageError(
            f"there is a model called {name} already: {taken[name]}", hint="give the adopted one another with --name"
        )
