"""The library behind `tripoint calibrate`: run what is not up to date, propose bounds, keep them if asked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pipeline import main_job
from pipeline.config import CALIBRATED_FILE, calibrated
from pipeline.core.errors import ExitStatus, UsageError
from pipeline.core.progress import Observer
from pipeline.parity.calibrate import Bounds, Proposal, as_text, as_toml, proposals
from pipeline.workflow import Job


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What is proposed, and where it was written to, if it was."""

    proposals: tuple[Proposal, ...]
    file: Path | None

    @property
    def exit_status(self) -> ExitStatus:
        """10 when something differs, so that no bound can be proposed for it."""
        refused = any(one.bounds is None and one.observed not in (None, 0.0) for one in self.proposals)
        return ExitStatus.DISAGREES if refused else ExitStatus.AGREES

    def text(self) -> str:
        """For a terminal."""
        end = "--write keeps this" if self.file is None else f"written to {self.file}"
        return f"{as_text(self.proposals)}\n\n{end}"

    def json(self) -> str:
        """For a program."""
        value = {"proposals": self.proposals, "file": None if self.file is None else str(self.file)}
        return msgspec.json.format(msgspec.json.encode(value)).decode()


def calibrate(asked: Job, *, write: bool, observer: Observer) -> Calibrated:
    """Propose bounds from a run of everything. Raises as `main_job.run` does, and UsageError when nothing ran."""
    report = main_job.run(asked, observer=observer).report
    found = proposals(report)
    if not found:
        raise UsageError(
            f"{asked.file.name}: no target answered, so there is nothing to calibrate by",
            hint=f"`tripoint report {asked.file.name}` says why",
        )
    file = _written(found, asked) if write else None
    return Calibrated(proposals=found, file=file)


def _written(found: tuple[Proposal, ...], asked: Job) -> Path:
    """Put the new bounds into the file; those of other lines and models stay. Whole, or as it was before."""
    folder = Path(asked.config.folder)
    kept = {
        model: {line: msgspec.convert(msgspec.to_builtins(bounds), Bounds) for line, bounds in lines.items()}
        for model, lines in calibrated(folder).items()
    }
    own = kept.setdefault(asked.file.name, {})
    own |= {one.line: one.bounds for one in found if one.bounds is not None}
    file = folder / CALIBRATED_FILE
    aside = file.with_name(f".{CALIBRATED_FILE}.{os.getpid()}")
    try:
        aside.write_text(as_toml(kept))
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)
    return file
