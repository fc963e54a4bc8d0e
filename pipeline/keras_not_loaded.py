"""Why a file with a Keras model did not load, and what helps: from what Keras raised, and what the file says."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from importlib.metadata import version

from pipeline.adoption import Adopted
from pipeline.lambdas import hint_on_missing_name
from pipeline.unanswered import hint_on_memory, plain

_REASON_CHARACTERS = 400


def hint_on_loading(adopted: Adopted, error: BaseException) -> str:
    """What helps with a file that Keras did not load, for which it raised `error`."""
    return next(_hints(adopted, error))


def _hints(adopted: Adopted, error: BaseException) -> Iterator[str]:
    """What may help, the likeliest first; the last always applies."""
    reason = keras_reason_of(error)
    low = reason.lower()
    yield from _known(hint_on_memory(error), hint_on_missing_name(error))
    absent = re.search(r"parent module (?P<module>\S+) cannot be imported", reason)
    if absent is not None:
        package = absent["module"].partition(".")[0]
        yield f"its code is not here: install {package} into this environment, or name the class with --custom-objects"
    if "lambda" in low and not adopted.trust:
        yield "--trust runs the code that the file carries: only for a file whose maker you trust"
    if "could not locate" in low or "unknown" in low:
        given = ", ".join(one.rpartition(":")[2] for one in adopted.custom_objects)
        others = f" (what is given is called {given})" if given else ""
        yield f"name the class with --custom-objects module:Class{others}; --trust lets the file name its own module"
    # What a newer Keras wrote is no fault of the classes that it names.
    yield from _known(_hint_on_version(adopted))
    if re.search(r"Unrecognized keyword arguments passed to|Unable to revive model from config", reason) is not None:
        yield (
            "the __init__ of a class of your own has to take what its get_config gives (that of a functional model "
            "*args and **kwargs, by these names); a class of Keras was saved by another version of it"
        )
    unknown = re.search(r"Could not deserialize '(?P<name>keras\.[\w.]+)' because it is not", reason)
    if unknown is not None:
        yield f"Keras {version('keras')} has no {unknown['name']}: it takes the version that wrote the file"
    if "safe" in low and not adopted.trust:
        yield "--trust loads it with the code that it names: only for a file whose maker you trust"
    yield "it was made by another version of Keras, or is damaged: save it again"


def _known(*hints: str | None) -> Iterator[str]:
    yield from (hint for hint in hints if hint is not None)


def _hint_on_version(adopted: Adopted) -> str | None:
    wrote, here = written_by(adopted.source), version("keras")
    if wrote is None or _numbers(wrote) <= _numbers(here):
        return None
    return (
        f"the file says that Keras {wrote} wrote it, and here is Keras {here}: save it again with that, "
        "or install a newer one into this environment"
    )


def written_by(file: str) -> str | None:
    """The version of Keras that a `.keras` or `.h5` file says has written it; None where it does not say."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                return str(json.loads(archive.read("metadata.json"))["keras_version"])
        import h5py

        with h5py.File(file) as held:
            return str(held.attrs["keras_version"])
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError):
        return None


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release)[:3])


def keras_reason_of(error: BaseException) -> str:
    """What Keras met, in one line of at most 400 characters."""
    # Keras puts the whole config of the model before what it met.
    text = str(error).rpartition("Exception encountered:")[2].partition("Full object config:")[0]
    text = plain(text) or type(error).__name__
    return text if len(text) <= _REASON_CHARACTERS else f"{text[:_REASON_CHARACTERS]} ..."
