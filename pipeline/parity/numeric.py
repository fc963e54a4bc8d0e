"""Float values: every figure in float64, over any number of samples in bounded memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.parity.error_sizes import ErrorSizes
from pipeline.parity.figures import NumericFigures, WorstPlace
from pipeline.parity.findings import Finding, SqnrTooLow, ValuesDiffer
from pipeline.parity.non_finite import NonFiniteTally
from pipeline.parity.tolerances import Tolerance
from pipeline.parity.ulps import UlpTally
from pipeline.parity.variation import VariationTally

_LARGEST = np.finfo(np.float64).max
# Lifts a tolerance that just passes over the rounding of `atol + rtol * |want|` itself.
_LIFT = 1 + 4 * np.finfo(np.float64).eps
_SUMS = ("error", "squared error", "want squared", "got squared", "want times got")


class NumericTally:
    """One output's float answers, fed in blocks of samples.

    Sums are kept a sample and added exactly at the end, so that no figure but `variation` depends on how the samples
    were split: 40 bytes a sample is all that grows.
    """

    def __init__(self, output: str, tolerance: Tolerance) -> None:
        self._output = output
        self._tolerance = tolerance
        self._sums: list[NDArray[np.float64]] = []
        self._sizes, self._relative_sizes = ErrorSizes(), ErrorSizes()
        self._ulps: UlpTally | None = None
        self._non_finite = NonFiniteTally(output)
        self._variation = VariationTally()
        self._samples = self._elements = self._not_compared = self._mismatches = 0
        self._max_error = self._max_relative = self._tolerance_used = self._atol = self._rtol = 0.0
        self._worst: WorstPlace | None = None

    def add(self, want: NDArray[Any], got: NDArray[Any]) -> NDArray[np.float64]:
        """Take blocks [samples, ...] of the same shape; return each sample's largest share of its tolerance."""
        shape = want.shape[1:]
        self._ulps = self._ulps or UlpTally(want.dtype)
        raw_want, raw_got = want, got
        # float64, so that the subtraction adds no error of its own.
        want, got = _rows(want), _rows(got)
        odd: NDArray[np.bool_] | None = None
        differs_in_class: NDArray[np.bool_] | None = None
        not_compared = 0
        if not (np.isfinite(want).all() and np.isfinite(got).all()):
            differs_in_class = self._non_finite.add(want, got, first_sample=self._samples, shape=shape)
            odd = ~(np.isfinite(want) & np.isfinite(got))
            not_compared = int(np.count_nonzero(odd))
            # Zeros on both sides: no error, no energy.
            want, got = np.where(odd, 0.0, want), np.where(odd, 0.0, got)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            errors, used = self._measure(want, got, shape)
            self._sizes.add(errors, not_compared=not_compared)
            self._ulps.add(raw_want, raw_got, odd)
            self._variation.add(want)
            worst_used = np.asarray(used.max(axis=1), dtype=np.float64)
        self._not_compared += not_compared
        self._elements += want.size
        self._samples += len(want)
        if differs_in_class is not None:
            worst_used[differs_in_class.any(axis=1)] = math.inf
        return worst_used

    def figures(self) -> NumericFigures:
        compared = self._elements - self._not_compared
        total = dict(zip(_SUMS, (_exact_sum(column) for column in np.concatenate(self._sums).T), strict=True))
        noise = total["squared error"]
        if self._max_error > 0:
            # Squares of the smallest errors vanish; they must not make an unequal answer look equal.
            noise = max(noise, float(np.finfo(np.float64).tiny))
        return NumericFigures(
            elements=self._elements,
            compared=compared,
            non_finite_alike=self._non_finite.alike,
            max_error=self._max_error,
            mean_error=total["error"] / compared if compared else 0.0,
            rmse=math.sqrt(noise / compared) if compared else 0.0,
            quantiles=self._sizes.quantiles(self._max_error),
            max_relative_error=self._max_relative,
            relative_quantiles=self._relative_sizes.quantiles(self._max_relative),
            ulps=None if self._ulps is None else self._ulps.figures(),
            sqnr_db=_decibels(total["want squared"], noise),
            cosine=self._cosine(total, compared),
            mismatches=self._mismatches,
            worst=self._worst,
            tolerance_used=self._tolerance_used,
            smallest_atol=self._atol,
            smallest_rtol=self._rtol,
            histogram=self._sizes.histogram(),
            variation=self._variation.variation,
        )

    def findings(self, figures: NumericFigures) -> tuple[Finding, ...]:
        found: list[Finding] = [*self._non_finite.findings(self._elements)]
        tolerance = self._tolerance
        if figures.mismatches and figures.worst is not None:
            found.append(
                ValuesDiffer(
                    output=self._output,
                    mismatches=figures.mismatches,
                    total=figures.elements,
                    place=figures.worst.place,
                    want=figures.worst.want,
                    got=figures.worst.got,
                    atol=tolerance.atol,
                    rtol=tolerance.rtol,
                )
            )
        # `not >=` rather than `<`, so that a NaN is too low as well.
        if tolerance.sqnr_db is not None and figures.compared and not figures.sqnr_db >= tolerance.sqnr_db:
            found.append(SqnrTooLow(output=self._output, sqnr_db=figures.sqnr_db, floor_db=tolerance.sqnr_db))
        return tuple(found)

    def vacuous(self, figures: NumericFigures) -> str | None:
        """Why agreement would mean nothing, or None."""
        if figures.compared == 0:
            return f"none of {figures.elements} values is finite on both sides, so no value was compared"
        return self._variation.vacuous(self._tolerance, rmse=figures.rmse)

    def _measure(
        self, want: NDArray[np.float64], got: NDArray[np.float64], shape: tuple[int, ...]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Take the figures of a block; return its errors and how much of what is allowed each one uses."""
        atol, rtol = self._tolerance.atol, self._tolerance.rtol
        errors = np.abs(got - want)
        magnitudes = np.abs(want)
        relative_part = rtol * magnitudes
        # Bounded, so that no allowance is infinite: an infinite error is never within it.
        allowed = np.minimum(atol + relative_part, _LARGEST)
        beyond = errors > allowed
        used = np.divide(errors, allowed, out=np.where(errors > 0, math.inf, 0.0), where=allowed > 0)

        self._sums.append(
            np.stack(
                [
                    errors.sum(axis=1),
                    np.vecdot(errors, errors),
                    np.vecdot(want, want),
                    np.vecdot(got, got),
                    np.vecdot(want, got),
                ],
                axis=1,
            )
        )
        self._mismatches += int(np.count_nonzero(beyond))
        self._max_error = max(self._max_error, float(errors.max()))
        relative = np.divide(errors, magnitudes, out=np.zeros_like(errors), where=magnitudes > 0)
        self._max_relative = max(self._max_relative, float(relative.max()))
        # Places that are not finite are zeros on both sides by now.
        self._relative_sizes.add(relative, not_compared=int(np.count_nonzero(magnitudes == 0)))
        self._atol = max(self._atol, float((errors * _LIFT - relative_part).max()))
        needs_rtol = errors > atol
        if needs_rtol.any():
            rtols = (errors[needs_rtol] * _LIFT - atol) / magnitudes[needs_rtol] * _LIFT
            self._rtol = max(self._rtol, float(rtols.max()))
        at = int(np.argmax(used))
        row, element = divmod(at, want.shape[1])
        if used[row, element] > self._tolerance_used:
            self._tolerance_used = float(used[row, element])
            place = (self._samples + row, *map(int, np.unravel_index(element, shape)))
            self._worst = WorstPlace(place=place, want=float(want[row, element]), got=float(got[row, element]))
        return errors, used

    def _cosine(self, total: dict[str, float], compared: int) -> float | None:
        lengths = math.sqrt(total["want squared"]) * math.sqrt(total["got squared"])
        if not compared or math.sqrt(total["want squared"] / compared) <= self._tolerance.atol:
            return None
        return max(-1.0, min(1.0, total["want times got"] / lengths)) if 0 < lengths < math.inf else None


def _rows(block: NDArray[Any]) -> NDArray[np.float64]:
    """The block as float64 [samples, elements of one answer]."""
    return np.ascontiguousarray(block, dtype=np.float64).reshape(len(block), -1)


def _exact_sum(values: NDArray[np.float64]) -> float:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        # Beyond float64's range, or infinities of both signs: as plain addition has it.
        with np.errstate(over="ignore", invalid="ignore"):
            return float(values.sum())


def _decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise): infinite without noise, -inf without signal, NaN when both are beyond float64."""
    if noise == 0:
        return math.inf
    if signal == 0:
        return -math.inf
    return 10 * (math.log10(signal) - math.log10(noise)) if math.isfinite(signal) and math.isfinite(noise) else math.nan
