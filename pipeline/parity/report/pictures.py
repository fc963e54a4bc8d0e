"""The geometry of the report's pictures: where each bar of a histogram, a score or a duration stands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, TypeGuard

from pipeline.parity.figures import Answer, Histogram, UlpFigures
from pipeline.parity.values import Value

_FULL = 100.0


class Bar(Value, frozen=True):
    """A rectangle in a picture of 100 x 100 units, y counted downwards; `label` says it in words."""

    x: float
    y: float
    width: float
    height: float
    label: str
    side: Literal["want", "got", "equal"] = "got"


class Tick(Value, frozen=True):
    """A place on the horizontal axis, 0 to 100."""

    x: float
    label: str


class Axis(Value, frozen=True):
    """Decades of absolute error from `low` to `high`, shared by all histograms so that they can be compared by eye."""

    low: int
    high: int

    def place(self, error: float) -> float:
        """Where an error stands, 0 to 100; what is beyond the axis stands at its end."""
        if error <= 0:
            return 0.0
        exponent = math.log10(min(error, 1e300))
        return _FULL * min(max((exponent - self.low) / (self.high - self.low), 0.0), 1.0)

    def ticks(self, most: int = 6) -> tuple[Tick, ...]:
        """Whole decades, evenly chosen, at most `most` of them."""
        step = math.ceil((self.high - self.low) / most)
        return tuple(
            Tick(x=self.place(10.0**exponent), label=f"1e{exponent}") for exponent in range(self.low, self.high, step)
        )


def axis_of(histograms: Iterable[Histogram], marks: Iterable[float]) -> Axis:
    """The decades that hold all errors and all marks, leaving out what is below 1e-12."""
    exponents = [math.log10(mark) for mark in marks if 0 < mark < math.inf]
    for histogram in histograms:
        if histogram.counts:
            exponents.append(histogram.first_exponent)
            exponents.append(histogram.first_exponent + len(histogram.counts) / histogram.per_decade)
    low = math.floor(max(min(exponents, default=-8.0), -12.0))
    high = math.ceil(min(max(exponents, default=0.0), 300.0))
    return Axis(low=low, high=max(high, low + 1))


def histogram_bars(histogram: Histogram, axis: Axis) -> tuple[Bar, ...]:
    """A bar a bin; heights are logarithms of counts, since it is the few large errors that matter."""
    most = math.log1p(max(histogram.counts, default=1))
    bars = []
    for position, count in enumerate(histogram.counts):
        exponent = histogram.first_exponent + position / histogram.per_decade
        left, right = axis.place(10.0**exponent), axis.place(10.0 ** (exponent + 1 / histogram.per_decade))
        if count and right > left:
            height = _FULL * math.log1p(count) / most
            label = f"{count} errors around {10.0**exponent:.1e}"
            bars.append(Bar(x=left, y=_FULL - height, width=right - left, height=height, label=label))
    return tuple(bars)


def octave_bars(ulps: UlpFigures) -> tuple[Bar, ...]:
    """A bar an octave of distances in units in the last place, the equal ones first; heights are logarithms."""
    counts = (ulps.same_bits, *ulps.octaves)
    most = math.log1p(max(counts, default=1)) or 1.0
    width = _FULL / max(len(counts), 12)
    bars = []
    for position, count in enumerate(counts):
        if count:
            height = _FULL * math.log1p(count) / most
            low, high = (0, 0) if position == 0 else (2 ** (position - 1), 2**position - 1)
            label = f"{count:,} equal" if position == 0 else f"{count:,} from {low:,} to {high:,} apart"
            bars.append(Bar(x=position * width, y=_FULL - height, width=width, height=height, label=label))
    return tuple(bars)


def answer_bars(answers: Sequence[Answer], names: Sequence[str]) -> tuple[Bar, ...]:
    """Two bars an element, the reference's beside the target's; what is not a finite number has none."""
    values = [value for answer in answers for value in (answer.want, answer.got) if is_number(value)]
    low, high = min([0.0, *values]), max([0.0, *values])
    span = (high - low) or 1.0
    slot = _FULL / max(1, len(answers))
    bars = []
    for position, (answer, name) in enumerate(zip(answers, names, strict=True)):
        for offset, side, value in ((0.12, "want", answer.want), (0.5, "got", answer.got)):
            if is_number(value):
                top, bottom = max(value, 0.0), min(value, 0.0)
                bars.append(
                    Bar(
                        x=(position + offset) * slot,
                        y=_FULL * (high - top) / span,
                        width=0.38 * slot,
                        height=_FULL * (top - bottom) / span,
                        label=f"{name}: {'reference' if side == 'want' else 'target'} {value:.6g}",
                        side="want" if side == "want" else "got",
                    )
                )
    return tuple(bars)


def is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
