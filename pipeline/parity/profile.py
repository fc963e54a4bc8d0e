"""Tolerances derived for one model: from what its own graph does when it is rounded as a precision rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

import msgspec

from pipeline.core.artifact import CALIBRATED_PRECISIONS, Format, Precision
from pipeline.parity.findings import bound
from pipeline.parity.tolerances import Tolerance, line_of
from pipeline.parity.values import Value

PROFILE_FILE = "profile.json"
HEADROOM = 3.0
"""How much more than predicted is allowed: the prediction is one way to round, and a runtime has another.

docs/tolerances.md has how far both were apart over trainings of the digits model.
"""
_CALIBRATED_HEADROOM = 5.0
"""Where the ranges of activations come from other samples than those that are asked."""
_FLOAT32_HEADROOM = 2.0
"""Where nothing but the order of sums differs: no error was ever more than 1.13 times what was predicted of it."""

_LEAST_STEP = {
    Precision.FLOAT16: 2.0**-11,
    Precision.DYNAMIC: 1 / 255,
    Precision.INT8: 1 / 255,
    Precision.INT8_IO: 1 / 255,
    Precision.INT16X8: 1 / 65_535,
}
"""One step of TFLite's precisions, as a share of the output's largest value. Less is never predicted: its converter
rounds more than the weights that the emulation knows, and stores the output itself in such steps.
"""
_OUTPUT_ULPS = 4
_MOST_NOISE = 10.0
"""How many times what rounding moves in float32 the frozen graph may be off and still count as rounded otherwise."""
_INT8_STEPS = 255


class Predicted(Value, frozen=True):
    """How far one output moved: its largest distance, and signal to noise in dB, None when it did not move at all."""

    max_error: float
    sqnr_db: float | None


class OutputProfile(Value, frozen=True):
    """One output of the reference: its dtype, its largest finite magnitude, and what rounding does to it by precision.

    `noise` is how far the frozen graph, asked in one batch, is from the reference itself: two right ways to compute the
    same in float32.
    """

    dtype: str
    magnitude: float
    noise: float
    moved: dict[str, Predicted]


class Profile(Value, frozen=True):
    """What was found out about a model's rounding.

    `operations` counts those that round, `worst_case_ulps` adds up their bounds; `samples` were tried, and `left_out`
    more would have taken longer than a minute. Where the model computes in halves, `computed_in` names them, and their
    noise is in what `moved` says of every precision.
    """

    outputs: dict[str, OutputProfile]
    operations: dict[str, int]
    worst_case_ulps: int
    samples: int
    left_out: int = 0
    computed_in: str = "float32"


class NoProfile(Value, frozen=True):
    """Why the graph could not be tried out: then the general tolerances stand."""

    unavailable: str


def save(profile: Profile | NoProfile, file: Path) -> None:
    """Write it as JSON."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(profile)))


def load(file: Path) -> Profile | NoProfile:
    """What `save` wrote."""
    value = msgspec.json.decode(file.read_bytes())
    if "unavailable" in value:
        return msgspec.convert(value, NoProfile)
    return msgspec.convert(value, Profile)


def headroom(precision: Precision) -> float:
    """How many times its prediction an error may be large."""
    if precision is Precision.FLOAT32:
        return _FLOAT32_HEADROOM
    return _CALIBRATED_HEADROOM if precision in CALIBRATED_PRECISIONS else HEADROOM


def derived_for(
    kind: Format, precision: Precision, outputs: Sequence[str], profile: Profile | None
) -> dict[str, Tolerance]:
    """The derived bounds of those outputs that were tried out; of none without a profile."""
    if profile is None:
        return {}
    line = line_of(kind, precision)
    found = {output: derived(line, kind, precision, output, profile) for output in outputs}
    return {output: tolerance for output, tolerance in found.items() if tolerance is not None}


def derived(line: Tolerance, kind: Format, precision: Precision, output: str, profile: Profile) -> Tolerance | None:
    """The line of the table with the model's own bounds of values; None where nothing was predicted.

    atol is the precision's headroom times the prediction, which is at least one step of the precision, and never below
    one unit in the last place of the largest value; where less than a step was predicted, the table's SQNR stands.
    rtol allows the output itself four roundings. What asks about decisions and accuracy stays as in the table.
    """
    found = profile.outputs.get(output)
    moved = None if found is None else found.moved.get(_emulated_as(kind, precision))
    if found is None or moved is None:
        return None
    ulp, times = _epsilon(found.dtype), headroom(precision)
    step = _LEAST_STEP.get(precision, 0.0) * found.magnitude if kind is Format.TFLITE else 0.0
    predicted = max(moved.max_error, _credible_noise(kind, found), ulp * found.magnitude / times, step)
    if precision is Precision.INT8_IO:
        # Inputs and outputs are rounded to the steps of the file as well.
        predicted += found.magnitude / _INT8_STEPS
    told = moved.sqnr_db is not None and moved.max_error >= step
    sqnr = line.sqnr_db
    if told and moved.sqnr_db is not None:
        # No more than what rtol alone would leave: one bound must not refuse what another allows everywhere.
        most = -20 * math.log10(_OUTPUT_ULPS * ulp)
        sqnr = math.floor(min(moved.sqnr_db - 20 * math.log10(times), most))
    cut_short = f", {profile.left_out} more would have taken over a minute" if profile.left_out else ""
    halves = "" if profile.computed_in == "float32" else f", and rounding to {profile.computed_in} as the model does,"
    operations = ", ".join(f"{count} {name}" for name, count in profile.operations.items())
    return msgspec.structs.replace(
        line,
        atol=rounded_up(times * predicted),
        rtol=rounded_up(_OUTPUT_ULPS * ulp),
        sqnr_db=sqnr,
        predicted=predicted,
        source=(
            f"derived: rounding this model's graph as {precision} does{halves} moves the output by "
            f"{bound(rounded_up(predicted))} on {profile.samples} samples{cut_short} ({operations}; at worst "
            f"{profile.worst_case_ulps} float32 ULP by WebNN's bounds); {times:g} x that is allowed. "
            f"Decisions and accuracy: {line.source}"
        ),
    )


def _credible_noise(kind: Format, found: OutputProfile) -> float:
    """The noise, as far as it can be float32's rounding: a graph that is further off answers another question.

    What cannot be tried out has no prediction of its own, so that the table's float32 is believed, too.
    """
    general = line_of(kind, Precision.FLOAT32)
    moved = found.moved.get(str(Precision.FLOAT32))
    rounding = 0.0 if moved is None else _MOST_NOISE * moved.max_error
    return min(found.noise, max(rounding, general.atol + general.rtol * found.magnitude))


def rounded_up(value: float, digits: int = 2) -> float:
    """To so many significant digits, never downwards."""
    if value <= 0 or not math.isfinite(value):
        return value
    written = Decimal(repr(value))
    last = Decimal((0, (1,), written.adjusted() - digits + 1))
    return float(written.quantize(last, rounding=ROUND_CEILING))


def _emulated_as(kind: Format, precision: Precision) -> str:
    if kind is Format.TFJS and precision is Precision.FLOAT16:
        # TF.js narrows every constant, TFLite's converter the weights of products.
        return f"{kind} {precision}"
    return str(Precision.INT8 if precision is Precision.INT8_IO else precision)


def _epsilon(dtype: str) -> float:
    match dtype:
        case "float16":
            return 2.0**-10
        case "bfloat16":
            return 2.0**-7
        case _:
            # float64, too: the artifacts compute in float32 all the same.
            return 2.0**-23
