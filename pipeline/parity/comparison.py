"""What comparing one recording with the reference gave, and what its status is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from pipeline.parity.figures import Figures, ScoreFigures, TaskError, WorstSample
from pipeline.parity.findings import DependsOnBatchSize, Finding
from pipeline.parity.status import Fail, Found, Inconclusive, Pass
from pipeline.parity.values import Value


class OutputComparison(Value, frozen=True):
    """One output at one batch size.

    `figures` is None when names, sample counts, shapes or dtypes differ, since then no two values belong together.
    `task` is there when the samples say what the output is to be. `vacuous` says why agreement would mean nothing.
    `loose` says how much looser the tolerance is than what was seen.
    """

    output: str
    samples: int
    findings: tuple[Finding, ...]
    figures: Figures | None = None
    scores: ScoreFigures | None = None
    task: TaskError | None = None
    worst_samples: tuple[WorstSample, ...] = ()
    vacuous: str | None = None
    loose: str | None = None


class BatchComparison(Value, frozen=True):
    """All outputs at one batch size. `findings` are those about the set of outputs itself."""

    batch_size: int
    findings: tuple[Finding, ...]
    outputs: tuple[OutputComparison, ...]
    milliseconds_per_sample: float | None = None


class BatchSpread(Value, frozen=True):
    """The largest difference of one output's values between any two batch sizes; infinite when NaN comes and goes.

    None when it cannot be taken: shapes differ, or the values are not numbers.
    """

    output: str
    spread: float | None


class RepeatFigures(Value, frozen=True):
    """One output at one batch size, asked again: the largest differences from what the target itself answered first.

    `noise` in the same batches: what the target does by itself, its noise floor; `mixed` among other samples;
    `together` while other clients ask. None where it was not tried, or the values are not numbers; infinite when NaN
    comes and goes. `asked` counts the answers.
    """

    output: str
    batch_size: int
    asked: int
    noise: float | None
    mixed: float | None
    together: float | None
    findings: tuple[Finding, ...] = ()


class Comparison(Value, frozen=True):
    """One recording beside the reference, at every batch size, and beside itself.

    `findings` are those about all batch sizes together, with the sizes that are wrong.
    """

    batches: tuple[BatchComparison, ...]
    batch_spread: tuple[BatchSpread, ...] = ()
    repeats: tuple[RepeatFigures, ...] = ()
    findings: tuple[DependsOnBatchSize, ...] = ()

    @property
    def noise_floor(self) -> float | None:
        """The largest difference between two answers to the same question; None when none was asked twice."""
        return max((repeat.noise for repeat in self.repeats if repeat.noise is not None), default=None)


def status_of(comparison: Comparison) -> Pass | Fail | Inconclusive:
    """A finding anywhere fails; then anything vacuous, or nothing compared at all, is inconclusive."""
    found: dict[Hashable, list[tuple[int, Finding]]] = {}
    vacuous: dict[str, None] = {}
    for batch in comparison.batches:
        for finding in (*batch.findings, *(finding for output in batch.outputs for finding in output.findings)):
            found.setdefault(_subject(finding), []).append((batch.batch_size, finding))
        vacuous |= {
            f"{output.output}: {output.vacuous}": None for output in batch.outputs if output.vacuous is not None
        }
    for whole in comparison.findings:
        found.setdefault(_subject(whole), []).extend((size, whole) for size in whole.wrong_at)
    for repeat in comparison.repeats:
        for finding in repeat.findings:
            found.setdefault(_subject(finding), []).append((repeat.batch_size, finding))
    if found:
        return Fail(findings=tuple(map(_at_its_worst, found.values())))
    if not comparison.batches or not all(batch.outputs for batch in comparison.batches):
        return Inconclusive(reason="nothing was compared")
    if vacuous:
        return Inconclusive(reason="; ".join(vacuous))
    return Pass()


def _subject(finding: Finding) -> Hashable:
    """What makes findings at two batch sizes the same finding, in whatever measure."""
    return type(finding), getattr(finding, "output", None), getattr(finding, "value", None)


def _at_its_worst(found: Sequence[tuple[int, Finding]]) -> Found:
    _, worst = max(found, key=lambda item: item[1].severity)
    # By sentence, since a finding with a NaN in it does not equal itself.
    alike = tuple(size for size, finding in found if finding.sentence == worst.sentence)
    return Found(finding=worst, batch_sizes=alike, lesser_at=tuple(size for size, _ in found if size not in alike))
