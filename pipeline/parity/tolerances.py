"""How far a target may be from the trained model: one table by format and precision, each line with its reason."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import msgspec

from pipeline.core.artifact import Format, Precision
from pipeline.core.errors import UsageError
from pipeline.parity.values import Value

LOOSE_FACTOR = 10.0
"""A gate that is looser than this many times what was observed would not notice most faults, and is reported."""


def _refuse_unless(holds: bool, name: str, value: object, must_be: str) -> None:  # noqa: FBT001  # reads as a sentence
    if not holds:
        raise UsageError(f"a tolerance's {name} cannot be {value}", hint=f"make it {must_be}")


class Tolerance(Value, frozen=True):
    """What one output must keep to. All bounds that are not None must hold.

    Values: |got - want| <= atol + rtol * |want|. `sqnr_db`: at least this signal to noise ratio. `top1`: at least this
    share of samples with the same best class, near ties apart. `accuracy_drop`: the share of the reference's accuracy
    that may be lost (0.01 keeps 99 %). `constant` says that the output is meant not to vary over the samples.
    `predicted` is the largest error that the precision explains, where the bounds were derived for the model.
    """

    reason: str
    source: str
    atol: float
    rtol: float
    sqnr_db: float | None = None
    top1: float | None = None
    accuracy_drop: float | None = None
    constant: bool = False
    predicted: float | None = None

    def __post_init__(self) -> None:
        for name in ("atol", "rtol"):
            _refuse_unless(0 <= getattr(self, name) < float("inf"), name, getattr(self, name), "0 or more, and finite")
        for name in ("top1", "accuracy_drop"):
            share = getattr(self, name)
            _refuse_unless(share is None or 0 <= share <= 1, name, share, "between 0 and 1")
        _refuse_unless(self.sqnr_db is None or abs(self.sqnr_db) < float("inf"), "sqnr_db", self.sqnr_db, "finite")


class Override(Protocol):
    """What a user may set for one line of the table, or for one output of it; None keeps the table's own."""

    @property
    def reason(self) -> str: ...
    @property
    def atol(self) -> float | None: ...
    @property
    def rtol(self) -> float | None: ...
    @property
    def sqnr_db(self) -> float | None: ...
    @property
    def top1(self) -> float | None: ...
    @property
    def accuracy_drop(self) -> float | None: ...
    @property
    def constant(self) -> bool | None: ...


# Values, not functions that make them: what runs at import is out of reach of `make mutate`; docs/tolerances.md is
# held to the table instead.
_FLOAT32 = Tolerance(
    atol=1e-5,
    rtol=1e-5,
    sqnr_db=90.0,
    top1=1.0,
    accuracy_drop=0.0,
    reason="the same weights and kernels; only the order of sums may differ",
    source="atol: torch.testing for float32; rtol: 84 float32 epsilons, a whole network's; measured up to 2.9e-6",
)
_FLOAT16_WEIGHTS = Tolerance(
    atol=1e-2,
    rtol=1e-3,
    sqnr_db=50.0,
    top1=0.99,
    accuracy_drop=0.005,
    reason="weights rounded to 11 significant bits, computed in float32",
    source="rtol: torch.testing for float16; measured up to 1.6e-3 and at least 74 dB on test data",
)

TABLE: Mapping[tuple[Format, Precision], Tolerance] = {
    (Format.SAVED_MODEL, Precision.FLOAT32): _FLOAT32,
    (Format.TFLITE, Precision.FLOAT32): msgspec.structs.replace(
        _FLOAT32, reason="the same weights; fused and reordered kernels"
    ),
    (Format.TFLITE, Precision.FLOAT16): _FLOAT16_WEIGHTS,
    (Format.TFLITE, Precision.DYNAMIC): Tolerance(
        atol=0.15,
        rtol=0.05,
        sqnr_db=25.0,
        top1=0.97,
        accuracy_drop=0.01,
        reason="int8 weights, and activations quantized to int8 at each call",
        source="MLPerf Inference: 99 % of float32's accuracy; measured up to 0.015 and at least 55 dB on test data",
    ),
    (Format.TFLITE, Precision.INT8): Tolerance(
        atol=0.25,
        rtol=0.05,
        sqnr_db=20.0,
        top1=0.95,
        accuracy_drop=0.01,
        reason="int8 weights and activations, their ranges taken from representative data",
        source="MLPerf Inference: 99 % of float32's accuracy; Polygraphy: 20 dB; measured up to 0.067, from 43 dB",
    ),
    (Format.TFLITE, Precision.INT8_IO): Tolerance(
        atol=0.25,
        rtol=0.05,
        sqnr_db=20.0,
        top1=0.95,
        accuracy_drop=0.01,
        reason="int8 as above, and inputs and outputs in the 256 steps that the file has for them",
        source="as for int8; measured up to 0.043, from 42 dB on the test data of digits and mlp",
    ),
    (Format.TFLITE, Precision.INT16X8): Tolerance(
        atol=0.15,
        rtol=0.05,
        sqnr_db=25.0,
        top1=0.97,
        accuracy_drop=0.01,
        reason="int8 weights, and activations of int16, their ranges taken from representative data",
        source="as for dynamic, whose weights it has; measured up to 0.036, from 48 dB on digits and mlp",
    ),
    (Format.TFJS, Precision.FLOAT32): msgspec.structs.replace(_FLOAT32, reason="the same weights, other kernels"),
    (Format.TFJS, Precision.FLOAT16): _FLOAT16_WEIGHTS,
    (Format.TFJS, Precision.UINT16): Tolerance(
        atol=1e-3,
        rtol=1e-3,
        sqnr_db=70.0,
        top1=0.99,
        accuracy_drop=0.005,
        reason="weights rounded to 65,536 levels a tensor, computed in float32",
        source="a tenth of float16's atol; measured up to 1.2e-4, from 88 dB, on digits, mlp, penguins, snippets",
    ),
    (Format.TFJS, Precision.UINT8): Tolerance(
        atol=0.15,
        rtol=0.05,
        sqnr_db=25.0,
        top1=0.97,
        accuracy_drop=0.01,
        reason="weights rounded to 256 levels a tensor, computed in float32",
        source="MLPerf Inference: 99 % of float32's accuracy; measured up to 0.058 and at least 44 dB on test data",
    ),
}
"""docs/tolerances.md says how the bounds were measured."""


def line_of(format: Format, precision: Precision) -> Tolerance:  # noqa: A002  # the field's own word
    """The line of the table. Raises UsageError when it has none such."""
    tolerance = TABLE.get((format, precision))
    if tolerance is None:
        known = ", ".join("/".join(key) for key in TABLE)
        raise UsageError(f"no tolerance is known for {format}/{precision}", hint=f"the known ones are {known}")
    return tolerance


def tolerance_for(
    format: Format,  # noqa: A002  # the field's own word
    precision: Precision,
    overrides: Mapping[str, Override],
    *,
    output: str | None = None,
    base: Tolerance | None = None,
    computed_in: str = "float32",
) -> Tolerance:
    """The `base`, or without one the line of the table, overridden by what is set for `<format>/<precision>`, then for
    `.../<output>`.

    A reference that is itself computed in `float16` or `bfloat16` widens what is not derived for it before. Raises
    UsageError when the table has no such line or an override sets an impossible bound.
    """
    tolerance = _no_finer_than(base or line_of(format, precision), computed_in, derived=base is not None)
    line = f"{format}/{precision}"
    for key in (line, f"{line}/{output}"):
        if key in overrides:
            tolerance = _overridden(tolerance, key, overrides[key])
    return tolerance


def tolerances_for(
    format: Format,  # noqa: A002  # the field's own word
    precision: Precision,
    overrides: Mapping[str, Override],
    *,
    outputs: Sequence[str],
    derived: Mapping[str, Tolerance] = MappingProxyType({}),
    computed_in: str = "float32",
) -> dict[str, Tolerance]:
    """The tolerance of each output, from those `derived` for the model where there is one.

    Raises UsageError as `tolerance_for` does, and for an override of no output.
    """
    line = f"{format}/{precision}"
    for key in overrides:
        named = key.removeprefix(f"{line}/")
        if named != key and named not in outputs:
            near = difflib.get_close_matches(named, outputs, n=1)
            hint = f"did you mean `{line}/{near[0]}`?" if near else f"its outputs are {', '.join(outputs)}"
            raise UsageError(f'tolerances."{key}": the model has no output `{named}`', hint=hint)
    return {
        output: tolerance_for(
            format, precision, overrides, output=output, base=derived.get(output), computed_in=computed_in
        )
        for output in outputs
    }


# Significant bits 11 and 8. rtol is that of torch.testing; atol and SQNR are those of float16 weights, scaled by bits.
_OF_NARROW_REFERENCES = {"float16": (1e-2, 1e-3, 50.0), "bfloat16": (8e-2, 1.6e-2, 32.0)}


def _no_finer_than(tolerance: Tolerance, computed_in: str, *, derived: bool) -> Tolerance:
    """Wide enough for a reference that rounds: a target that computes finer is not wrong for it.

    Bounds of values that were derived know of it.
    """
    if computed_in not in _OF_NARROW_REFERENCES:
        return tolerance
    atol, rtol, sqnr_db = _OF_NARROW_REFERENCES[computed_in]
    if not derived:
        tolerance = msgspec.structs.replace(
            tolerance,
            atol=max(tolerance.atol, atol),
            rtol=max(tolerance.rtol, rtol),
            sqnr_db=None if tolerance.sqnr_db is None else min(tolerance.sqnr_db, sqnr_db),
        )
    return msgspec.structs.replace(
        tolerance,
        top1=None if tolerance.top1 is None else min(tolerance.top1, 0.99),
        accuracy_drop=None if tolerance.accuracy_drop is None else max(tolerance.accuracy_drop, 0.005),
        reason=f"{tolerance.reason}; the reference itself computes in {computed_in}",
    )


def _overridden(tolerance: Tolerance, key: str, override: Override) -> Tolerance:
    names = ("atol", "rtol", "sqnr_db", "top1", "accuracy_drop", "constant")
    changes = {name: getattr(override, name) for name in names if getattr(override, name) is not None}
    return msgspec.structs.replace(
        tolerance, **changes, reason=override.reason, source=f'tolerances."{key}" in the config'
    )
