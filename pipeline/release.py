"""What is taken away: the report and the artifacts of the last run, under names that mean something, in one folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.front_part import FRONT_FILE
from pipeline.cells import convert_step
from pipeline.core.artifact import Format, Precision
from pipeline.store import Entry, disk_problems_named
from pipeline.workflow import Ran

RELEASE_FILE = "release.json"
REPORT_FOLDER = "report"
_SCHEMA = "tripoint.release/1"


def publish(ran: Ran, reported: Entry, *, model: str, into: Path) -> Path:
    """Make `<into>/<model>/` hold exactly this run's report and artifacts; nothing is done when it does already.

    The folder is written aside and moved into place. Raises EnvironmentProblem when the disk does not let it.
    """
    place = into / model
    contents = _contents(ran, reported, model)
    listing = {
        "schema": _SCHEMA,
        "model": model,
        "version": ran.exported.facts["version"],
        "digests": {name: entry.digest for name, (entry, _) in contents.items()},
    }
    if _listed(place) == listing:
        return place
    with disk_problems_named(into):
        into.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix="aside-", dir=into))
        try:
            for name, (entry, source) in contents.items():
                _copy(entry.path / source, aside / name)
            (aside / RELEASE_FILE).write_text(json.dumps(listing, indent=1, sort_keys=True) + "\n")
            aside.chmod(0o755)
            if place.exists():
                shutil.rmtree(place)
            aside.replace(place)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return place


def _contents(ran: Ran, reported: Entry, model: str) -> dict[str, tuple[Entry, str]]:
    """By path in the release: the entry that it comes from, and where in it."""
    version = str(ran.exported.facts["version"])
    contents = {
        REPORT_FOLDER: (reported, ""),
        f"saved_model/{model}/{version}": (ran.exported, version),
        "golden.safetensors": (ran.trained, "golden.safetensors"),
    }
    if "model.keras" in ran.trained.files:
        contents[f"{model}.keras"] = (ran.trained, "model.keras")
    if FRONT_FILE in ran.trained.files:
        contents[FRONT_FILE] = (ran.trained, FRONT_FILE)
    for kind, precision, entry in _converted(ran):
        if kind is Format.TFLITE:
            contents[f"tflite/{entry.facts['file']}"] = (entry, entry.facts["file"])
        else:
            contents[f"tfjs/{precision}"] = (entry, "")
    return contents


def _converted(ran: Ran) -> list[tuple[Format, Precision, Entry]]:
    converted: list[tuple[Format, Precision, Entry]] = []
    for kind in (Format.TFLITE, Format.TFJS):
        for precision in Precision:
            result = ran.artifacts.get(convert_step(kind, precision))
            if isinstance(result, Entry):
                converted.append((kind, precision, result))
    return converted


def _copy(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, destination, ignore=shutil.ignore_patterns("made.json"))
    else:
        shutil.copy2(source, destination)


def _listed(place: Path) -> Mapping[str, Any] | None:
    try:
        listing: Mapping[str, Any] = json.loads((place / RELEASE_FILE).read_text())
    except (OSError, ValueError):
        return None
    return listing
