"""What tuning a model gave, for a terminal and for a program."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.core.artifact import Format
from pipeline.core.errors import ExitStatus
from pipeline.tuning.budget import Budget
from pipeline.tuning.trial import Trial, frontier


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """Every variant that was tried, the smallest of each format that meets the budgets, and where it all lies."""

    model: str
    budgets: tuple[Budget, ...]
    trials: tuple[Trial, ...]
    chosen: tuple[Trial, ...]
    without: tuple[Format, ...]
    folder: Path

    @property
    def exit_status(self) -> ExitStatus:
        """10 when no variant of a format meets the budgets."""
        return ExitStatus.DISAGREES if self.without else ExitStatus.AGREES


def as_json(tuned: Tuned) -> str:
    """One object: every trial with its figures, and which were chosen. Infinite SQNR is the text `Infinity`."""
    best = frontier([t for t in tuned.trials if t.format is Format.TFLITE])
    best += frontier([t for t in tuned.trials if t.format is Format.TFJS])

    def told(trial: Trial) -> dict[str, object]:
        quality = None if trial.quality is None else asdict(trial.quality)
        if quality is not None and quality["sqnr_db"] == float("inf"):
            quality["sqnr_db"] = "Infinity"
        return {
            "format": trial.format,
            "precision": trial.precision,
            "keep_float": list(trial.kept),
            "bytes": trial.size_bytes,
            "quality": quality,
            "problem": trial.problem,
            "meets": trial.meets(tuned.budgets),
            "chosen": trial in tuned.chosen,
            "frontier": trial in best,
        }

    return json.dumps(
        {
            "model": tuned.model,
            "budgets": [budget.text for budget in tuned.budgets],
            "trials": [told(trial) for trial in tuned.trials],
            "without": list(tuned.without),
            "folder": str(tuned.folder),
        },
        indent=2,
    )


def as_text(tuned: Tuned) -> str:
    """A table by format and size, then what to write into tripoint.toml for the chosen ones."""
    lines = [f"{tuned.model}: budget {', '.join(budget.text for budget in tuned.budgets)}", ""]
    lines.append(f"  {'variant':<52}{'size':>10}{'SQNR dB':>9}{'top-1 %':>9}{'alike %':>9}  verdict")
    ordered = sorted(tuned.trials, key=lambda trial: (trial.format is not Format.TFLITE, trial.size_bytes or 0))
    lines += [_line(trial, tuned) for trial in ordered]
    lines.append("")
    for trial in tuned.chosen:
        lines.append(f"smallest {trial.format}: {trial.precision}, {kilobytes(trial.size_bytes)}")
        if trial.kept:
            kept = ", ".join(f'"{name}"' for name in trial.kept)
            lines.append(f"  in tripoint.toml: [models.{tuned.model}] keep_float = [{kept}]")
    lines += [f"no variant of {kind} meets the budget" for kind in tuned.without]
    lines.append(f"picture, figures and files  {tuned.folder}")
    return "\n".join(lines)


def _line(trial: Trial, tuned: Tuned) -> str:
    if trial.quality is None:
        gist = (trial.problem or "").split("\n", 1)[0]
        return f"  {trial.label:<52}{kilobytes(trial.size_bytes):>10}  {gist[:90]}"
    quality = trial.quality
    mark = "smallest" if trial in tuned.chosen else ("meets it" if trial.meets(tuned.budgets) else "")
    decibels = "-" if quality.sqnr_db is None else f"{quality.sqnr_db:.1f}"
    return (
        f"  {trial.label:<52}{kilobytes(trial.size_bytes):>10}{decibels:>9}"
        f"{_percent(quality.top1):>9}{_percent(quality.agreement):>9}  {mark}"
    )


def kilobytes(size: int | None) -> str:
    """`44.2 kB`, or a dash for what was never made."""
    return "-" if size is None else f"{size / 1000:.1f} kB"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
