"""Keras models from files and functions: loaded by Keras 3, else by tf-keras; what is refused says why."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.adoption import Adopted, taken_in
from pipeline.core.errors import ModelFailed
from pipeline.keras_not_loaded import hint_on_loading, keras_reason_of, written_by
from pipeline.lambdas import names_within_reach, usual_names_of_tf_keras
from pipeline.unanswered import hint_on_memory


@dataclass(frozen=True, kw_only=True, eq=False)
class KerasFound:
    """A Keras model in memory, and which Keras it belongs to."""

    model: Any
    runtime: str
    version: str
    notes: tuple[str, ...] = ()


def from_keras_file(adopted: Adopted) -> KerasFound:
    """The model in a `.keras` file: loaded by Keras 3, or one of Keras 2 by tf-keras. Raises ModelFailed."""
    import keras

    custom_objects = _custom_objects(adopted)
    try:
        return _found(
            keras.models.load_model(
                adopted.source, custom_objects=custom_objects, compile=False, safe_mode=not adopted.trust
            )
        )
    except Exception as error:
        # tf-keras goes on counting as Keras 2 did.
        if (written_by(adopted.source) or "").startswith("2."):
            return _from_tf_keras(adopted, custom_objects, error)
        raise _not_loaded(adopted, error) from error


def kept_model(file: Path) -> Any:
    """The model in a `.keras` file of the store: an adopted one with the classes and the trust that it was given."""
    import keras

    adopted = taken_in(file.parent)
    if adopted is None:
        return keras.models.load_model(file, compile=False)
    return keras.models.load_model(
        file, custom_objects=_custom_objects(adopted), compile=False, safe_mode=not adopted.trust
    )


def from_h5(adopted: Adopted) -> KerasFound:
    """The model in an HDF5 file: loaded by Keras 3, or by tf-keras where that cannot. Raises ModelFailed."""
    import h5py
    import keras

    custom_objects = _custom_objects(adopted)
    try:
        with h5py.File(adopted.source) as file:
            if "model_config" not in file.attrs:
                raise ModelFailed(
                    f"{adopted.source} holds weights, but no model",
                    hint="save the whole model with `model.save(...)`, or adopt a function that builds it",
                )
    except OSError as error:
        raise ModelFailed(
            f"{adopted.source} is damaged: {keras_reason_of(error)}", hint="copy or save it again"
        ) from error
    try:
        return _found(
            keras.models.load_model(
                adopted.source, custom_objects=custom_objects, compile=False, safe_mode=not adopted.trust
            )
        )
    except Exception as error:  # noqa: BLE001  # Keras 3 raises whatever an old layer happens to meet
        return _from_tf_keras(adopted, custom_objects, error)


def built_by(adopted: Adopted) -> KerasFound:
    """The model that the function builds or returns, its seeds set before. Raises ModelFailed."""
    import keras

    module_name, _, function_name = adopted.source.rpartition(":")
    module = module_of(module_name, folder=adopted.folder)
    made = getattr(module, function_name, None)
    if made is None:
        raise ModelFailed(f"{module_name} has no `{function_name}`", hint="correct the name after the colon")
    keras.utils.set_random_seed(adopted.seed)
    if not _is_keras_model(made):
        if not callable(made):
            raise ModelFailed(f"{adopted.source} is a {type(made).__name__}, no function", hint="name a function")
        try:
            made = made()
        except (Exception, SystemExit) as error:
            raise ModelFailed(
                f"{adopted.source} raised {type(error).__name__}: {keras_reason_of(error)}",
                hint=hint_on_memory(error) or "it is called without arguments and has to return a Keras model",
            ) from error
    if not _is_keras_model(made):
        raise ModelFailed(
            f"{adopted.source} returned a {type(made).__module__}.{type(made).__name__}",
            hint="it has to return a model of Keras 3 or tf-keras",
        )
    return _found(made)


def module_of(name: str, *, folder: str) -> Any:
    """The module of that name or path, imported with `folder` searched first. Raises ModelFailed when it raises."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = _from_path(Path(name)) if name.endswith(".py") else _imported(name, folder)
    except (Exception, SystemExit) as error:
        raise ModelFailed(
            f"importing {name} raised {type(error).__name__}: {keras_reason_of(error)}",
            hint="mend it, or install what it needs into this environment",
        ) from error
    own, taken = Path(folder, f"{name}.py"), getattr(module, "__file__", None)
    if own.is_file() and taken is not None and not own.samefile(taken):
        raise ModelFailed(f"{name} is {taken} in Python already, not {own}", hint=f"rename {own.name}")
    return module


def _imported(name: str, folder: str) -> Any:
    """The module of that name; one of the folder's own package by its path, where Python knows another such package."""
    # `models`, say, which is ours as well as many people's.
    own = Path(folder, *name.split(".")).with_suffix(".py")
    own_of_package = "." in name and own.is_file()
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError:
        if own_of_package:
            return _from_path(own)
        raise
    found = getattr(module, "__file__", None)
    return _from_path(own) if own_of_package and found is not None and not own.samefile(found) else module


def _from_path(path: Path) -> Any:
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    known = sys.modules.get(path.stem)
    if getattr(known, "__file__", None) == str(path):
        return known
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be read as Python")
    module = importlib.util.module_from_spec(spec)
    # Keras finds custom classes by their module when it saves and loads.
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _custom_objects(adopted: Adopted) -> dict[str, Any]:
    objects: dict[str, Any] = {}
    for given in adopted.custom_objects:
        module_name, _, name = given.rpartition(":")
        module = module_of(module_name, folder=adopted.folder)
        if not hasattr(module, name):
            raise ModelFailed(f"--custom-objects {given}: {module_name} has no `{name}`", hint="correct the name")
        objects[name] = getattr(module, name)
    if adopted.trust:
        names_within_reach(objects)
    return objects


def _from_tf_keras(adopted: Adopted, custom_objects: Mapping[str, Any], why: Exception) -> KerasFound:
    import tf_keras
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    try:
        with SafeModeScope(safe_mode=not adopted.trust):
            known = {**usual_names_of_tf_keras(), **custom_objects}
            model = tf_keras.models.load_model(adopted.source, custom_objects=known, compile=False)
    except Exception as error:
        both = f"{keras_reason_of(why)}; tf-keras: {keras_reason_of(error)}"
        raise _not_loaded(
            adopted, why if keras_reason_of(why) == keras_reason_of(error) else type(error)(both)
        ) from error
    note = f"Keras 3 could not load the file ({keras_reason_of(why)}), so tf-keras did."
    return _found(model, notes=(note,))


def _not_loaded(adopted: Adopted, error: Exception) -> ModelFailed:
    return ModelFailed(
        f"{adopted.source} does not load: {type(error).__name__}: {keras_reason_of(error)}",
        hint=hint_on_loading(adopted, error),
    )


def _found(model: Any, notes: tuple[str, ...] = ()) -> KerasFound:
    ours = type(model).__module__.startswith("tf_keras") or _is_tf_keras(model)
    return KerasFound(
        model=model,
        runtime="tf-keras" if ours else "Keras",
        version=version("tf-keras" if ours else "keras"),
        notes=notes,
    )


def _is_keras_model(value: Any) -> bool:
    import keras

    return isinstance(value, keras.Model) or _is_tf_keras(value)


def _is_tf_keras(value: Any) -> bool:
    # Asked only where it was imported: importing it costs two seconds.
    tf_keras = sys.modules.get("tf_keras")
    return tf_keras is not None and isinstance(value, tf_keras.Model)
