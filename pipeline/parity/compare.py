"""Compares answers with the reference's: names, counts, shapes and dtypes, then what is not finite, then values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.outcome import Recording
from pipeline.core.signature import Signature, Tensors
from pipeline.parity.batch_spread import batch_spread
from pipeline.parity.comparison import BatchComparison, BatchSpread, Comparison, OutputComparison
from pipeline.parity.exact import ExactTally
from pipeline.parity.figures import NumericFigures
from pipeline.parity.findings import (
    DependsOnBatchSize,
    DtypeDiffers,
    Finding,
    NonFiniteDiffers,
    NotEqual,
    OutputsExtra,
    OutputsMissing,
    SampleCountDiffers,
    ShapeDiffers,
    ValuesDiffer,
    bound,
)
from pipeline.parity.numeric import NumericTally
from pipeline.parity.repeatability import repeatability
from pipeline.parity.scores import ScoresTally
from pipeline.parity.task_error import TaskErrorTally
from pipeline.parity.tolerances import LOOSE_FACTOR, Tolerance
from pipeline.parity.worst import WorstSamples

WORST_SAMPLES_KEPT = 6
# 1 MB as float64: the block's dozen passes then run in the processor's cache.
_BLOCK_ELEMENTS = 1 << 17
_OF_VALUES = (ValuesDiffer, NonFiniteDiffers, NotEqual)


class OutputComparer:
    """Compares one output while its samples arrive, in memory that does not grow with their number of values."""

    def __init__(self, output: str, tolerance: Tolerance, *, scores: bool = False) -> None:
        self._output = output
        self._tolerance = tolerance
        self._with_scores = scores
        self._structure: Finding | None = None
        self._want_samples = self._got_samples = 0
        self._numeric: NumericTally | None = None
        self._exact: ExactTally | None = None
        self._scores: ScoresTally | None = None
        self._task = TaskErrorTally()
        self._worst = WorstSamples(WORST_SAMPLES_KEPT)

    def feed(
        self,
        want: NDArray[Any],
        got: NDArray[Any],
        labels: NDArray[Any] | None = None,
        targets: NDArray[Any] | None = None,
    ) -> None:
        """Take the next samples of both sides, [samples, ...].

        `labels` are their right classes, [samples]; `targets` the values that both sides are to meet, as `want`.
        """
        want, got = np.asarray(want), np.asarray(got)
        self._want_samples += len(want) if want.ndim else 0
        self._got_samples += len(got) if got.ndim else 0
        self._structure = self._structure or _structure(self._output, want, got)
        if self._structure is not None or want.size == 0:
            return
        step = max(1, _BLOCK_ELEMENTS // (want.size // len(want)))
        for start in range(0, len(want), step):
            block = slice(start, start + step)
            self._add(want[block], got[block], None if labels is None else labels[block])
            if targets is not None:
                self._task.add(want[block], got[block], targets[block])

    def finish(self) -> OutputComparison:
        """All figures and findings of what was fed."""
        if self._structure is not None:
            findings = (self._structure,)
            if isinstance(self._structure, SampleCountDiffers):
                # Of all chunks, not of the first that was short.
                findings = (SampleCountDiffers(output=self._output, want=self._want_samples, got=self._got_samples),)
            return OutputComparison(output=self._output, samples=self._want_samples, findings=findings)
        if self._exact is not None:
            return self._finish_exact(self._exact)
        if self._numeric is not None:
            return self._finish_numeric(self._numeric)
        return OutputComparison(
            output=self._output, samples=self._want_samples, findings=(), vacuous="there is no value to compare"
        )

    def _add(self, want: NDArray[Any], got: NDArray[Any], labels: NDArray[Any] | None) -> None:
        if not _is_float(want.dtype):
            self._exact = self._exact or ExactTally(self._output)
            used = self._exact.add(want, got)
        else:
            self._numeric = self._numeric or NumericTally(self._output, self._tolerance)
            used = self._numeric.add(_as_real(want), _as_real(got))
            if self._with_scores and want.ndim > 1 and want.shape[-1] > 1:
                self._scores = self._scores or ScoresTally(self._output)
                self._scores.add(want, got, labels if want.ndim == 2 else None)
        self._worst.add(used, want, got)

    def _finish_exact(self, exact: ExactTally) -> OutputComparison:
        figures, finding = exact.figures(), exact.finding()
        vacuous = None
        if not (figures.varies or self._tolerance.constant):
            vacuous = (
                "the reference gives the same answer to every sample, so a target that ignores its input agrees, too"
            )
        return OutputComparison(
            output=self._output,
            samples=self._want_samples,
            findings=() if finding is None else (finding,),
            figures=figures,
            worst_samples=self._worst.found(),
            vacuous=vacuous,
        )

    def _finish_numeric(self, numeric: NumericTally) -> OutputComparison:
        figures = numeric.figures()
        findings = numeric.findings(figures)
        if self._scores is not None:
            findings += self._scores.findings(self._tolerance)
        return OutputComparison(
            output=self._output,
            samples=self._want_samples,
            findings=findings,
            figures=figures,
            scores=None if self._scores is None else self._scores.figures(),
            task=self._task.figures(),
            worst_samples=self._worst.found(),
            vacuous=numeric.vacuous(figures),
            loose=None if findings else _loose(figures, self._tolerance),
        )


def compare_recording(
    reference: Tensors,
    recording: Recording,
    *,
    signature: Signature,
    tolerances: Mapping[str, Tolerance],
    labels: NDArray[Any] | None = None,
    scores_output: str | None = None,
    targets: Tensors = MappingProxyType({}),
    unrepeatable: Mapping[str, str] = MappingProxyType({}),
) -> Comparison:
    """Every batch size of the recording beside the one reference, and beside each other.

    `tolerances` has one for each output of the signature; `labels` are the right classes [samples] of `scores_output`,
    `targets` the values that other outputs are to meet, of the shapes of the reference's answers.
    `unrepeatable` says of outputs that the reference itself does not repeat why their values are not compared.
    Raises ValueError when the reference itself does not hold the signature's outputs or the labels are of another
    number: then there is nothing to compare with.
    """
    if set(reference) != set(signature.output_names):
        raise ValueError(
            f"the reference has outputs {sorted(reference)}, the signature {sorted(signature.output_names)}"
        )
    if labels is not None and scores_output is not None and len(labels) != len(reference[scores_output]):
        raise ValueError(f"{len(labels)} labels for {len(reference[scores_output])} samples")
    batches = []
    for batch_size, got in sorted(recording.outputs.items()):
        outputs = []
        for name in signature.output_names:
            if name in got and name in unrepeatable:
                outputs.append(_not_compared(name, reference[name], got[name], unrepeatable[name]))
            elif name in got:
                comparer = OutputComparer(name, tolerances[name], scores=name == scores_output)
                comparer.feed(reference[name], got[name], labels if name == scores_output else None, targets.get(name))
                outputs.append(comparer.finish())
        batches.append(
            BatchComparison(
                batch_size=batch_size,
                findings=_names(signature, got),
                outputs=tuple(outputs),
                milliseconds_per_sample=recording.milliseconds_per_sample.get(batch_size),
            )
        )
    beside_each_other = signature.output_names if len(batches) > 1 else ()
    spreads = tuple(batch_spread(name, recording.outputs) for name in beside_each_other)
    return Comparison(
        batches=tuple(batches),
        batch_spread=spreads,
        repeats=repeatability(
            reference,
            recording,
            tolerances={name: bounds for name, bounds in tolerances.items() if name not in unrepeatable},
        ),
        findings=tuple(
            finding for spread in spreads if (finding := _depends_on_batch_size(spread, batches)) is not None
        ),
    )


def _depends_on_batch_size(spread: BatchSpread, batches: Sequence[BatchComparison]) -> DependsOnBatchSize | None:
    """A name for what the batch sizes' own findings show, when values are wrong at some of them only."""
    wrong = [
        batch.batch_size
        for batch in batches
        for output in batch.outputs
        if output.output == spread.output and any(isinstance(finding, _OF_VALUES) for finding in output.findings)
    ]
    right = [
        batch.batch_size
        for batch in batches
        for output in batch.outputs
        if output.output == spread.output and not output.findings
    ]
    if not (wrong and right):
        return None
    return DependsOnBatchSize(output=spread.output, right_at=tuple(right), wrong_at=tuple(wrong), spread=spread.spread)


def _not_compared(output: str, want: NDArray[Any], got: NDArray[Any], why: str) -> OutputComparison:
    """Shape and dtype hold for an output whose values nobody can compare, too."""
    structure = _structure(output, want, got)
    findings = () if structure is None else (structure,)
    return OutputComparison(output=output, samples=len(want), findings=findings, vacuous=why)


def _names(signature: Signature, got: Tensors) -> tuple[Finding, ...]:
    expected = set(signature.output_names)
    missing, extra = sorted(expected - set(got)), sorted(set(got) - expected)
    found: list[Finding] = []
    if missing:
        found.append(OutputsMissing(names=tuple(missing), answered=tuple(sorted(got))))
    if extra:
        found.append(OutputsExtra(names=tuple(extra), expected=tuple(sorted(expected))))
    return tuple(found)


def _structure(output: str, want: NDArray[Any], got: NDArray[Any]) -> Finding | None:
    """The first thing that keeps the values from being compared."""
    if want.ndim == 0 or got.ndim == 0:
        return ShapeDiffers(output=output, want=want.shape, got=got.shape)
    if len(want) != len(got):
        return SampleCountDiffers(output=output, want=len(want), got=len(got))
    if want.shape != got.shape:
        return ShapeDiffers(output=output, want=want.shape[1:], got=got.shape[1:])
    if _dtype_name(want.dtype) != _dtype_name(got.dtype):
        return DtypeDiffers(output=output, want=_dtype_name(want.dtype), got=_dtype_name(got.dtype))
    return None


def _dtype_name(dtype: np.dtype[Any]) -> str:
    """NumPy's name, and `string` for text in any of its forms, as a signature has it."""
    return "string" if dtype.kind in "OSU" else dtype.name


def _is_float(dtype: np.dtype[Any]) -> bool:
    # bfloat16 and float8 come from ml_dtypes, where their kind is not "f".
    return dtype.kind in "fc" or dtype.name.startswith(("bfloat", "float"))


def _as_real(array: NDArray[Any]) -> NDArray[Any]:
    """Complex values as pairs of real and imaginary part in one more dimension; anything else as it is."""
    return np.stack([array.real, array.imag], axis=-1) if array.dtype.kind == "c" else array


def _loose(figures: NumericFigures, tolerance: Tolerance) -> str | None:
    """What a gate that would not notice most faults is, in a sentence; bit-equal answers give no measure for it."""
    if figures.max_error == 0 or figures.tolerance_used * LOOSE_FACTOR >= 1:
        return None
    if figures.smallest_atol > 0:
        enough = f"atol {bound(float(f'{figures.smallest_atol:.2g}'))} with rtol {bound(tolerance.rtol)}"
    else:
        enough = f"rtol {bound(tolerance.rtol)} alone"
    return f"loose gate: {1 / figures.tolerance_used:.0f} x what was observed; {enough} would have passed"
