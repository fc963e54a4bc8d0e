"""Finding a model by name or path, and reading its file."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import models
from pipeline import adoption
from pipeline.adoption import Adopted
from pipeline.config import Config
from pipeline.core.errors import ModelFailed, UsageError
from pipeline.core.model import ModelSpec
from pipeline.sources import as_it_lies_now
from pipeline.store import Store

FOLDER = "models"


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model's name and the Python file that defines it as `MODEL`."""

    name: str
    path: Path


Known: TypeAlias = ModelFile | Adopted
"""A model that there is a name for: one with a file of its own, or one that was made elsewhere and adopted."""


def names(config: Config) -> list[str]:
    """All names that `known` knows, sorted."""
    return sorted({*model_files(config), *adoption.names(Store(root=config.store_path))})


def is_known(name: str, config: Config) -> bool:
    return name in names(config)


def known(asked: str, config: Config) -> Known:
    """The adopted model of that name, else what `find` finds. Raises UsageError as that does."""
    adopted = adoption.find(asked, Store(root=config.store_path)) if Path(asked).name == asked else None
    if adopted is not None and asked not in model_files(config):
        return as_it_lies_now(adopted)
    return find(asked, config)


def find(asked: str, config: Config) -> ModelFile:
    """The model file of that name, or at that path. Raises UsageError, with the nearest name, when there is none."""
    files = model_files(config)
    if asked in files:
        path = files[asked]
        if not path.is_file():
            raise UsageError(f"model {asked}: its file {path} is not there", hint="correct `file` in tripoint.toml")
        return ModelFile(name=asked, path=path)
    path = Path(asked)
    if path.suffix == ".py" and path.is_file():
        return ModelFile(name=path.stem, path=path)
    if path.exists() or ":" in asked:
        raise UsageError(
            f"{asked} is not the name of a model, nor a model file in Python",
            hint=f"`tripoint adopt {asked}` takes in a model that was made elsewhere",
        )
    if path.suffix == ".py" or len(path.parts) > 1:
        raise UsageError(f"{asked}: there is no such model file", hint="give a name or the path of a .py file")
    every = names(config)
    near = difflib.get_close_matches(asked, every, n=1)
    raise UsageError(
        f"there is no model called {asked!r}",
        hint=f"did you mean `{near[0]}`?" if near else f"the models are {', '.join(every)}",
    )


def load(file: ModelFile) -> ModelSpec:
    """Run the model file and return its `MODEL`. Raises ModelFailed when it raises or defines none."""
    definition = importlib.util.spec_from_file_location(f"tripoint_model_{file.name}", file.path)
    if definition is None or definition.loader is None:
        raise ModelFailed(f"{file.path} cannot be read as Python", hint="a model file is a .py file")
    module = importlib.util.module_from_spec(definition)
    # Keras finds custom classes by their module when it saves and loads.
    sys.modules[definition.name] = module
    try:
        definition.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ModelFailed(
            f"model file {file.path} raised {type(error).__name__}: {error}",
            hint=f"mend the file; `python {file.path}` shows the traceback",
        ) from error
    model = getattr(module, "MODEL", None)
    if not isinstance(model, ModelSpec):
        raise ModelFailed(
            f"model file {file.path} defines no `MODEL = ModelSpec(...)`",
            hint="`tripoint new NAME` writes one to start from",
        )
    return model


def model_files(config: Config) -> dict[str, Path]:
    """The model files that have a name, by it: those of ours, those in the project's folder `models/`, those named in
    tripoint.toml; the later ones first.
    """
    folders = [*map(Path, models.__path__), Path(config.folder, FOLDER)]
    lying = {path.stem: path for folder in folders for path in sorted(folder.glob("*.py")) if path.stem[0] != "_"}
    named = {name: Path(config.folder, entry.file) for name, entry in config.models.items() if entry.file is not None}
    return {**lying, **named}
