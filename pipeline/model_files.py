"""Finding a model by name or path, and reading its file."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

import models
from pipeline.config import Config
from pipeline.core.errors import ModelFailed, UsageError
from pipeline.core.model import ModelSpec


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model's name and the Python file that defines it as `MODEL`."""

    name: str
    path: Path


def names(config: Config) -> list[str]:
    """All names that `find` knows, sorted."""
    return sorted(_known(config))


def find(asked: str, config: Config) -> ModelFile:
    """The model file of that name, or at that path. Raises UsageError, with the nearest name, when there is none."""
    known = _known(config)
    if asked in known:
        path = known[asked]
        if not path.is_file():
            raise UsageError(f"model {asked}: its file {path} is not there", hint="correct `file` in tripoint.toml")
        return ModelFile(name=asked, path=path)
    path = Path(asked)
    if path.suffix == ".py" and path.is_file():
        return ModelFile(name=path.stem, path=path)
    if path.suffix == ".py" or len(path.parts) > 1:
        raise UsageError(f"{asked}: there is no such model file", hint="give a name or the path of a .py file")
    near = difflib.get_close_matches(asked, known, n=1)
    raise UsageError(
        f"there is no model called {asked!r}",
        hint=f"did you mean `{near[0]}`?" if near else f"the models are {', '.join(sorted(known))}",
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
    except Exception as error:
        raise ModelFailed(
            f"model file {file.path} raised {type(error).__name__}: {error}",
            hint=f"mend the file; `python {file.path}` shows the traceback",
        ) from error
    model = getattr(module, "MODEL", None)
    if not isinstance(model, ModelSpec):
        raise ModelFailed(
            f"model file {file.path} defines no `MODEL = ModelSpec(...)`",
            hint="models/digits.py is an example",
        )
    return model


def _known(config: Config) -> dict[str, Path]:
    shipped = {
        path.stem: path for folder in models.__path__ for path in Path(folder).glob("*.py") if path.stem[0] != "_"
    }
    named = {name: Path(config.folder, entry.file) for name, entry in config.models.items() if entry.file is not None}
    return {**shipped, **named}
