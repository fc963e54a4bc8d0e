"""Everything that can be wrong with an answer, as values that say themselves in a sentence."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from pipeline.parity.values import Kind, Place, Scalar

NonFinite: TypeAlias = Literal["NaN", "+inf", "-inf"]

# Each `sentence` has the count, the place, both values and both bounds, and no full stop. `severity` orders findings of
# one class by how bad they are, and compares with nothing else.


class OutputsMissing(Kind, frozen=True, tag="outputs_missing"):
    names: tuple[str, ...]
    answered: tuple[str, ...]

    @property
    def severity(self) -> float:
        return len(self.names)

    @property
    def sentence(self) -> str:
        return f"missing {_outputs(self.names)}; answered were {_listed(self.answered)}"


class OutputsExtra(Kind, frozen=True, tag="outputs_extra"):
    names: tuple[str, ...]
    expected: tuple[str, ...]

    @property
    def severity(self) -> float:
        return len(self.names)

    @property
    def sentence(self) -> str:
        return f"answered with {_outputs(self.names)} beyond the signature, which has {_listed(self.expected)}"


class SampleCountDiffers(Kind, frozen=True, tag="sample_count_differs"):
    output: str
    want: int
    got: int

    @property
    def severity(self) -> float:
        return abs(self.want - self.got)

    @property
    def sentence(self) -> str:
        return f"{self.output}: {self.got} samples answered, expected {self.want}"


class ShapeDiffers(Kind, frozen=True, tag="shape_differs"):
    """`want` and `got` are the shapes of one sample's answer."""

    output: str
    want: tuple[int, ...]
    got: tuple[int, ...]

    @property
    def severity(self) -> float:
        return 1

    @property
    def sentence(self) -> str:
        return f"{self.output}: one sample's answer has shape {list(self.got)}, expected {list(self.want)}"


class DtypeDiffers(Kind, frozen=True, tag="dtype_differs"):
    output: str
    want: str
    got: str

    @property
    def severity(self) -> float:
        return 1

    @property
    def sentence(self) -> str:
        return f"{self.output}: dtype {self.got}, expected {self.want}"


class NonFiniteDiffers(Kind, frozen=True, tag="non_finite_differs"):
    """One side has this non-finite value in places where the other has another value. `place` is the first of them."""

    output: str
    value: NonFinite
    only_wanted: int
    only_got: int
    total: int
    place: Place
    want: float
    got: float

    @property
    def severity(self) -> float:
        return self.only_wanted + self.only_got

    @property
    def sentence(self) -> str:
        parts = []
        if self.only_got:
            parts.append(f"{self.value} in {_of(self.only_got, self.total)} where the reference has none")
        if self.only_wanted:
            parts.append(f"no {self.value} in {_of(self.only_wanted, self.total)} where the reference has it")
        where = f"first at {_place(self.place)}: {number(self.got)}, expected {number(self.want)}"
        return f"{self.output}: {' and '.join(parts)}; {where}"


class ValuesDiffer(Kind, frozen=True, tag="values_differ"):
    """Float values beyond tolerance. `place` is where the error is largest against what is allowed there."""

    output: str
    mismatches: int
    total: int
    place: Place
    want: float
    got: float
    atol: float
    rtol: float

    @property
    def severity(self) -> float:
        return self.mismatches

    @property
    def sentence(self) -> str:
        return (
            f"{self.output}: {_of(self.mismatches, self.total)} differ; worst at {_place(self.place)}: "
            f"{number(self.got)}, expected {number(self.want)} (atol {bound(self.atol)}, rtol {bound(self.rtol)})"
        )


class NotEqual(Kind, frozen=True, tag="not_equal"):
    """Integers, booleans or text that are not the same. `place` is the first such place."""

    output: str
    mismatches: int
    total: int
    place: Place
    want: Scalar
    got: Scalar

    @property
    def severity(self) -> float:
        return self.mismatches

    @property
    def sentence(self) -> str:
        return (
            f"{self.output}: {_of(self.mismatches, self.total)} are not equal; first at {_place(self.place)}: "
            f"{self.got!r}, expected {self.want!r} (this dtype must be exactly equal)"
        )


class SqnrTooLow(Kind, frozen=True, tag="sqnr_too_low"):
    output: str
    sqnr_db: float
    floor_db: float

    @property
    def severity(self) -> float:
        return -self.sqnr_db

    @property
    def sentence(self) -> str:
        return f"{self.output}: SQNR {self.sqnr_db:.1f} dB, at least {self.floor_db:g} dB asked"


class Top1TooLow(Kind, frozen=True, tag="top1_too_low"):
    """`clear_flips` are changed best classes that were no near tie."""

    output: str
    clear_flips: int
    near_ties: int
    decisions: int
    floor: float

    @property
    def severity(self) -> float:
        return self.clear_flips

    @property
    def sentence(self) -> str:
        return (
            f"{self.output}: the best class changed in {self.clear_flips} of {self.decisions} decisions (agreement "
            f"{percent(1 - self.clear_flips / self.decisions)}, at least {percent(self.floor)} asked; "
            f"{self.near_ties} near ties not counted)"
        )


class AccuracyDropped(Kind, frozen=True, tag="accuracy_dropped"):
    """`allowed_drop` is the share of the reference's accuracy that may be lost."""

    output: str
    want: float
    got: float
    allowed_drop: float

    @property
    def severity(self) -> float:
        return self.want - self.got

    @property
    def sentence(self) -> str:
        floor = self.want * (1 - self.allowed_drop)
        return (
            f"{self.output}: accuracy {percent(self.got)}, at least {percent(floor)} asked "
            f"(the reference's {percent(self.want)}, of which {percent(self.allowed_drop)} may be lost)"
        )


class NotRepeated(Kind, frozen=True, tag="not_repeated"):
    """The same batch asked again has other answers: `changed` of `asked` went from right to wrong, or back.

    `right_first` is whether the one in `place`, which changed most, was right at first.
    """

    output: str
    changed: int
    asked: int
    right_first: bool
    place: Place
    want: Scalar
    first: Scalar
    later: Scalar

    @property
    def severity(self) -> float:
        return self.changed

    @property
    def sentence(self) -> str:
        change = "right at first and wrong later" if self.right_first else "wrong at first and right later"
        return (
            f"{self.output}: not repeatable: {self.changed} of {self.asked} answers to the same batch changed, "
            f"{change}; at {_place(self.place)}: {plain(self.first)}, then {plain(self.later)}, "
            f"expected {plain(self.want)}"
        )


class DependsOnBatchMates(Kind, frozen=True, tag="depends_on_batch_mates"):
    """Among other samples the same ones have other answers, although the same batch repeats."""

    output: str
    changed: int
    asked: int
    place: Place
    want: Scalar
    first: Scalar
    later: Scalar

    @property
    def severity(self) -> float:
        return self.changed

    @property
    def sentence(self) -> str:
        return (
            f"{self.output}: the answer depends on the other samples in the batch, or on the place in it: "
            f"{self.changed} of {self.asked} changed between right and wrong; at {_place(self.place)}: "
            f"{plain(self.first)}, then {plain(self.later)}, expected {plain(self.want)}"
        )


class DependsOnClients(Kind, frozen=True, tag="depends_on_clients"):
    """While other clients ask, the same samples have other answers, although one client alone gets the same again."""

    output: str
    changed: int
    asked: int
    place: Place
    want: Scalar
    first: Scalar
    later: Scalar

    @property
    def severity(self) -> float:
        return self.changed

    @property
    def sentence(self) -> str:
        return (
            f"{self.output}: with several clients at once {self.changed} of {self.asked} answers changed between right "
            f"and wrong; at {_place(self.place)}: {plain(self.first)}, then {plain(self.later)}, "
            f"expected {plain(self.want)}"
        )


class RepeatMalformed(Kind, frozen=True, tag="repeat_malformed"):
    """Asked again, the output is missing or has another number of rows, shape or dtype than at first."""

    output: str
    first: str
    later: str

    @property
    def severity(self) -> float:
        return 1

    @property
    def sentence(self) -> str:
        return f"{self.output}: not repeatable: {self.first} at first, {self.later} when asked again"


class DependsOnBatchSize(Kind, frozen=True, tag="depends_on_batch_size"):
    """Right at some batch sizes and wrong at others. `spread` is the largest difference between any two of them."""

    output: str
    right_at: tuple[int, ...]
    wrong_at: tuple[int, ...]
    spread: float | None

    @property
    def severity(self) -> float:
        return len(self.wrong_at)

    @property
    def sentence(self) -> str:
        between = "" if self.spread is None else f"; largest difference between batch sizes {number(self.spread)}"
        return (
            f"{self.output}: depends on the batch size: right at {_listed(tuple(map(str, self.right_at)))}, "
            f"wrong at {_listed(tuple(map(str, self.wrong_at)))}{between}"
        )


Finding: TypeAlias = (
    OutputsMissing
    | OutputsExtra
    | SampleCountDiffers
    | ShapeDiffers
    | DtypeDiffers
    | NonFiniteDiffers
    | ValuesDiffer
    | NotEqual
    | SqnrTooLow
    | Top1TooLow
    | AccuracyDropped
    | NotRepeated
    | DependsOnBatchMates
    | DependsOnClients
    | RepeatMalformed
    | DependsOnBatchSize
)


def number(value: float) -> str:
    """Nine significant digits, enough to tell any two float32 values apart."""
    return f"{value:.9g}"


def plain(value: Scalar) -> str:
    """A float in nine significant digits, NaN and the infinities by name, anything else as Python writes it."""
    if isinstance(value, float) or value in ("NaN", "Infinity", "-Infinity"):
        return number(float(value))
    return repr(value)


def percent(share: float) -> str:
    """Two decimals, rounded down, so that only what is whole reads 100."""
    return f"{math.floor(share * 1e4 + 1e-6) / 100:.2f} %"


def bound(value: float) -> str:
    """A tolerance as people write it: `1e-5`, `0.02`."""
    return f"{value:g}".replace("e-0", "e-")


def _of(count: int, total: int) -> str:
    return f"{count} of {total} values"


def _place(place: Place) -> str:
    return f"({', '.join(map(str, place))})"


def _outputs(names: tuple[str, ...]) -> str:
    return f"output{'s' if len(names) > 1 else ''} {_listed(names)}"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) if names else "none"
