"""What lies there instead of a model, and what to give in its place: by names and first bytes, nothing is loaded."""

from __future__ import annotations

import difflib
import zipfile
from pathlib import Path

from pipeline.core.errors import UsageError

KINDS = "a .keras or .h5 file, a SavedModel folder, or module:function that builds a Keras model"
SAVED_MODEL_FILE = "saved_model.pb"
_START_BYTES = 64
_SHOWN_BYTES = 8
_SHOWN_CHARACTERS = 100
_ZIP = b"PK"
_WEIGHTS_ALONE = "weights alone are no model: adopt the whole model, saved with `model.save(...)`"
_CHECKPOINT = (
    "a training checkpoint holds weights alone: adopt a function that builds the model and loads them, "
    "or save the whole model with `model.save(...)`"
)
# By how a file's name ends.
_OTHERS = {
    ".tflite": "a .tflite file is what comes out: adopt the model that it was made from; --beside compares the file",
    ".onnx": "ONNX models are not taken in: adopt the Keras model or SavedModel that it was made from",
    **dict.fromkeys((".pt", ".pth", ".pt2"), "PyTorch models are not taken in"),
    **dict.fromkeys((".weights", ".safetensors", ".npz", ".npy"), _WEIGHTS_ALONE),
    **dict.fromkeys((".ckpt", ".index", "checkpoint"), _CHECKPOINT),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), "a pickle is not taken in: save the model with `model.save(...)`"),
    "model.json": "a TF.js model is what comes out: adopt the model that it was made from",
    ".json": "an architecture alone is no model: adopt the whole model, saved with `model.save(...)`",
    ".pb": "a frozen graph has no signature: adopt a SavedModel folder",
    ".pbtxt": "a SavedModel in text is not taken in: export it again, with tf.saved_model.save",
}
# By how a file starts: what it is, and what helps.
_STARTS = {
    b"version https://git-lfs": ("it is a pointer of Git LFS, not the file itself", "fetch the file: git lfs pull"),
    b"<": ("it is a web page or XML, as a download that failed leaves it", "download the file again"),
    b"\x1f\x8b": ("it is compressed (gzip)", "unpack it first, with gunzip or tar xf"),
}


def file_refused(path: Path) -> UsageError:
    """The error for a file that is no model."""
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    known = next((said for signature, said in _STARTS.items() if start.startswith(signature)), None)
    what, hint = known or (_what_it_is(path, start), _hint_for(path))
    return UsageError(f"{path} is not a model: {what}", hint=hint)


def folder_refused(path: Path) -> UsageError:
    """The error for a folder that holds no SavedModel."""
    held = sorted(one.name for one in path.iterdir())
    content = ", ".join(held[:5]) + (" and more" if len(held) > 5 else "") or "nothing"
    return UsageError(
        f"{path} is not a SavedModel: it holds {content}, but no {SAVED_MODEL_FILE}", hint=_hint_for_folder(path, held)
    )


def nothing_there(asked: str, path: Path) -> UsageError:
    """The error for a path, or the name of a function, where nothing is that could be opened."""
    if "://" in asked:
        return UsageError(f"{asked} is an address, no path", hint="download it first, then adopt the file")
    if path.is_symlink():
        return UsageError(
            f"{asked} is a link to {path.readlink()}, where nothing is", hint="correct the link, or give the file"
        )
    if path.exists():
        return UsageError(f"{asked} is neither a file nor a folder", hint=f"give {KINDS}")
    shown = asked if len(asked) <= _SHOWN_CHARACTERS else f"{asked[:_SHOWN_CHARACTERS]} ..."
    return UsageError(f"{shown}: there is nothing at that path", hint=_near(asked, path))


def _near(asked: str, path: Path) -> str:
    place, colon, _ = asked.partition(":")
    module = path.with_name(f"{path.name.partition('.')[0]}.py")
    if colon and Path(path.parent, Path(place).name).is_file():
        return f"name a function after the colon, without brackets: {place}:build"
    if "." in path.name and module.is_file():
        return f"name the function after a colon: {module.name}:{path.name.partition('.')[2]}"
    there = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, there, n=1)
    return f"did you mean `{Path(asked).with_name(near[0])}`?" if near else f"give {KINDS}"


def _what_it_is(path: Path, start: bytes) -> str:
    if not start:
        return "the file is empty"
    if start.startswith(_ZIP):
        return _what_the_zip_is(path)
    if path.suffix in {".keras", ".h5", ".hdf5"}:
        return f"in spite of its name it starts with {start[:_SHOWN_BYTES]!r}"
    return f"it starts with {start[:_SHOWN_BYTES]!r}"


def _what_the_zip_is(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            models = [name for name in archive.namelist() if name.endswith((".keras", ".h5", SAVED_MODEL_FILE))]
    except zipfile.BadZipFile:
        return "it starts like a .keras file, but is cut short or damaged"
    if models:
        return f"it is a zip file that holds {models[0]}, to be unpacked first"
    return "it is a zip file without a Keras config.json"


def _hint_for(path: Path) -> str:
    suffixes = path.name.partition(".")[2]
    if suffixes.rpartition(".")[2].startswith("data-"):
        return _CHECKPOINT
    known = next((hint for end, hint in _OTHERS.items() if path.name == end or f".{suffixes}".endswith(end)), None)
    return known or f"give {KINDS}; a damaged file has to be copied or saved again"


def _hint_for_folder(path: Path, held: list[str]) -> str:
    if "config.json" in held and any(name.startswith("model.weights") for name in held):
        return "it is an unpacked .keras file: pack it again, with `python -m zipfile -c packed.keras FOLDER/*`"
    if (path.parent / SAVED_MODEL_FILE).is_file():
        return f"give the folder around it: {path.parent}"
    if "checkpoint" in held or any(name.endswith(".index") for name in held):
        return _CHECKPOINT
    if "model.json" in held:
        return _OTHERS["model.json"]
    inside = [name for name in held if name.endswith((".keras", ".h5")) or Path(path, name, SAVED_MODEL_FILE).is_file()]
    return f"give one of what is in it: {', '.join(inside[:3])}" if inside else f"give {KINDS}"
