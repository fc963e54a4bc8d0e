"""One variant of the model that was made and run, and which of several to take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core.artifact import Format, Precision
from pipeline.parity.comparison import OutputComparison
from pipeline.parity.figures import NumericFigures
from pipeline.parity.row import Row
from pipeline.parity.status import Error, Skip
from pipeline.tuning.budget import Budget, Quality


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A precision with some layers kept in float. Either `quality` is known, or `problem` says why it is not."""

    format: Format
    precision: Precision
    kept: tuple[str, ...]
    size_bytes: int | None
    quality: Quality | None
    problem: str | None

    @property
    def label(self) -> str:
        """`tflite int8, features in float`."""
        kept = f", {' + '.join(self.kept)} in float" if self.kept else ""
        return f"{self.format} {self.precision}{kept}"

    def meets(self, budgets: Sequence[Budget]) -> bool:
        return self.quality is not None and all(budget.met_by(self.quality) for budget in budgets)


def trial_of(row: Row, kept: tuple[str, ...]) -> Trial:
    """What the row of a variant says of it."""
    quality, problem = None, None
    match row.status:
        case Error(problem=said):
            problem = said
        case Skip(reason=said):
            problem = said
        case _:
            outputs = [output for batch in row.comparison.batches for output in batch.outputs] if row.comparison else []
            quality = _quality(outputs)
            if quality is None:
                problem = "its answers cannot be compared: `tripoint run` says why"
    return Trial(
        format=row.format,
        precision=row.precision,
        kept=kept,
        size_bytes=row.size_bytes,
        quality=quality,
        problem=problem,
    )


def smallest(trials: Sequence[Trial], budgets: Sequence[Budget]) -> Trial | None:
    """The smallest that meets every budget; of equals, the one with the better SQNR."""
    good = [trial for trial in trials if trial.meets(budgets)]
    return min(good, key=_by_size, default=None)


def frontier(trials: Sequence[Trial]) -> list[Trial]:
    """Those that no other is both smaller and better than, by size and SQNR, the smallest first."""
    known = [trial for trial in trials if trial.quality is not None and trial.quality.sqnr_db is not None]
    best: list[Trial] = []
    for trial in sorted(known, key=_by_size):
        if not best or _sqnr(trial) > _sqnr(best[-1]):
            best.append(trial)
    return best


def _by_size(trial: Trial) -> tuple[int, float]:
    return trial.size_bytes or 0, -_sqnr(trial)


def _sqnr(trial: Trial) -> float:
    found = trial.quality.sqnr_db if trial.quality is not None else None
    return float("-inf") if found is None else found


def _quality(outputs: Sequence[OutputComparison]) -> Quality | None:
    """None when an output could not be compared, or is not finite where the reference's is."""
    if not outputs or any(output.figures is None for output in outputs):
        return None
    numeric = [output.figures for output in outputs if isinstance(output.figures, NumericFigures)]
    if any(figures.compared + figures.non_finite_alike < figures.elements for figures in numeric):
        return None
    scores = [output.scores for output in outputs if output.scores is not None]
    labelled = [one.accuracy for one in scores if one.accuracy is not None]
    references = [one.reference_accuracy for one in scores if one.reference_accuracy is not None]
    tasks = [(output.output, output.task) for output in outputs if output.task is not None]
    return Quality(
        top1=min(labelled, default=None),
        reference_top1=max(references, default=None),
        agreement=min((one.top1_agreement for one in scores), default=None),
        sqnr_db=min((figures.sqnr_db for figures in numeric), default=None),
        errors={name: max(task.target for other, task in tasks if other == name) for name, _ in tasks},
        reference_errors={name: task.reference for name, task in tasks},
    )
