"""What the steps of a quantized file bring about: it is computed in floats with its steps, without, and with some.

Needs TensorFlow, whose interpreter computes the variants; the target itself is not asked.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.tflite_in_floats import CUT_ONLY, Steps, constants_of, in_floats, steps_of
from pipeline.core.artifact import Artifact
from pipeline.core.signature import Tensors, batches, concatenated
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.distance import distance, root_mean_square
from pipeline.diagnosis.rule import AGREES_WITHIN, CLEARLY_BETTER
from pipeline.parity.diagnosis import UNKNOWN, Diagnosis
from pipeline.parity.tolerances import Tolerance

_ROWS = 48
_NAMED = 2
# Of the power of all steps' errors, so that what is left out is the lesser part.
_MOST = 0.5
_MORE_THAN_HALF = 0.5
_AS_FAR = 1.25
_LEAST = 1e-6
NOTHING = Diagnosis(cause=UNKNOWN, sentence="what the file rounds does not bring it about", tried=2)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Bench:
    """The failing outputs on some samples: the reference's answers, the target's, and those of the file in floats.

    `weights` are those of the same model's float32 file, none where there is no such file.
    """

    content: bytes
    weights: Sequence[NDArray[Any]]
    inputs: Tensors
    want: Tensors
    got: Tensors
    case: Case
    ends_at: float
    batch_size: int

    @cached_property
    def every(self) -> tuple[Steps, ...]:
        return steps_of(self.content)

    @cached_property
    def rounded(self) -> Tensors:
        """As the file says."""
        return self._answers((), weights=())

    @cached_property
    def without(self) -> Tensors:
        """Without any steps, and with weights that are not rounded."""
        return self._answers(self.every)

    @cached_property
    def of_weights(self) -> Tensors:
        """With rounded weights only; single numbers, which may be beyond their range, are none."""
        return self._answers(self.every, weights=[one for one in self.weights if one.size == 1])

    @cached_property
    def cut(self) -> Tensors:
        """With all ranges, and hardly any steps."""
        return self._answers(bits=CUT_ONLY)

    @cached_property
    def alone(self) -> Sequence[tuple[Steps, Tensors]]:
        """With the steps of one tensor at a time, as far as there is time."""
        return list(self._alone(None))

    @cached_property
    def cut_alone(self) -> Sequence[tuple[Steps, Tensors]]:
        """With the range of one tensor at a time."""
        return list(self._alone(CUT_ONLY))

    def _alone(self, bits: int | None) -> Iterator[tuple[Steps, Tensors]]:
        for one in self.every:
            if time.monotonic() > self.ends_at:
                return
            yield one, self._answers([other for other in self.every if other is not one], bits)

    def _answers(
        self, exact: Sequence[Steps] = (), bits: int | None = None, weights: Sequence[NDArray[Any]] | None = None
    ) -> Tensors:
        given = self.weights if weights is None else weights
        made = answered(in_floats(self.content, exact=exact, bits=bits, weights=given), self.inputs, self.batch_size)
        return {name: made[name] for name in self.want}

    def error(self, name: str, got: Tensors, beside: Tensors) -> float:
        """The RMS error of the values that the target has wrong.

        Of all, where none is by itself, or where the file in floats has others wrong than the target.
        """
        wrong = self.differs(name, self.want[name], self.got[name])
        errors = np.nan_to_num(_real(got[name]) - _real(beside[name]))
        return root_mean_square(errors[wrong] if wrong.any() and self.exactly(name) else errors)

    def exactly(self, name: str) -> bool:
        """Whether the file in floats answers as the target does."""
        return not self.differs(name, self.rounded[name], self.got[name]).any()

    def differs(self, name: str, want: NDArray[Any], got: NDArray[Any]) -> NDArray[np.bool_]:
        """Which values are further apart than the verdict allows."""
        return differing(want, got, self.case.tolerances[name])


def diagnosed_by_steps(case: Case, artifact: Artifact, exact: Artifact | None, within_seconds: float) -> Diagnosis:
    """`range_too_small`, `steps_too_coarse` or `weights_rounded` when these bring all differences about, else unknown.

    They do when the file computed in floats is right without them, and with them either answers as the target does or
    is as far off. Which steps do most is found with those of one tensor at a time. `exact` is the same model's float32
    file; without it the weights are taken as they are.
    """
    return _of_all_outputs(case, artifact, exact, within_seconds, _by_steps)


def diagnosed_by_integers(case: Case, artifact: Artifact, exact: Artifact | None, within_seconds: float) -> Diagnosis:
    """As `diagnosed_by_steps`, or `integer_kernels` where the file is right, its steps included, and the target is not.

    Whatever else a target does wrong looks the same: this is for the end, when no other cause was found.
    """
    return _of_all_outputs(
        case, artifact, exact, within_seconds, lambda bench, name: _by_steps(bench, name) or _by_integers(bench, name)
    )


def _of_all_outputs(
    case: Case,
    artifact: Artifact,
    exact: Artifact | None,
    within_seconds: float,
    cause: Callable[[_Bench, str], Diagnosis | None],
) -> Diagnosis:
    bench = _bench(case, artifact, exact, within_seconds)
    if bench is None:
        return NOTHING
    try:
        with np.errstate(all="ignore"):
            found = {name: cause(bench, name) for name in bench.want}
    except (ValueError, RuntimeError) as error:
        return Diagnosis(cause=UNKNOWN, sentence=f"the file is not computed in floats: {error}", tried=1)
    told = {name: one for name, one in found.items() if one is not None}
    if len(told) < len(found):
        return NOTHING
    worst = max(told.values(), key=lambda one: one.error_before or 0.0)
    alike: dict[str, list[str]] = {}
    for name, one in told.items():
        alike.setdefault(one.sentence, []).append(f"`{name}`")
    sentence = ". ".join(f"{', '.join(names)}: {said}" for said, names in alike.items())
    return msgspec.structs.replace(worst, sentence=sentence, tried=3 + len(bench.every))


def _by_steps(bench: _Bench, name: str) -> Diagnosis | None:
    before, left = bench.error(name, bench.got, bench.want), bench.error(name, bench.without, bench.want)
    exactly = bench.exactly(name)
    as_far = bench.error(name, bench.rounded, bench.want) * _AS_FAR >= before
    if not before or left * CLEARLY_BETTER > before or not (exactly or as_far):
        return None
    cause, most = _most(bench, name)
    as_much = "answers the same" if exactly else "is about as far off"
    want, got = (bench.rounded, bench.got) if exactly else (bench.want, bench.without)
    return Diagnosis(
        cause=cause,
        sentence=f"computed in floats with its own steps, the file {as_much}, and without them it is right; {most}",
        error_before=distance(bench.want[name], bench.got[name]),
        error_after=distance(want[name], got[name]),
    )


def _most(bench: _Bench, name: str) -> tuple[str, str]:
    """What does most of it: the cause, and the rest of the sentence."""
    whole = bench.error(name, bench.rounded, bench.without)
    if bench.error(name, bench.of_weights, bench.without) >= _MORE_THAN_HALF * whole:
        return "weights_rounded", "most comes of the weights, which are rounded to 255 steps each"
    is_cut = bench.error(name, bench.cut, bench.without) >= _MORE_THAN_HALF * whole
    alone = bench.cut_alone if is_cut else bench.alone
    partly = "" if len(alone) == len(bench.every) else f", of {len(alone)} that there was time for"
    shares = sorted(((bench.error(name, got, bench.without), one) for one, got in alone), key=lambda pair: -pair[0])
    power, named = sum(error**2 for error, _ in shares), list[Steps]()
    for error, one in shares[:_NAMED]:
        if error > 0 and sum(other**2 for other, _ in shares[: len(named)]) < _MOST * power:
            named.append(one)
    ranges = " and ".join(f"`{one.name}` ({one.low:.3g} to {one.high:.3g})" for one in named)
    cause = "range_too_small" if is_cut else "steps_too_coarse"
    if not named:
        return cause, f"no tensor's steps do it by themselves{partly}"
    if is_cut:
        return cause, (
            f"most is cut off at the range of {ranges}{partly}: the representative samples went no further. More "
            "samples, or some that go further, widen it"
        )
    return cause, f"most comes of the 256 steps of {ranges}{partly}; a layer named in `keep_float` has none"


def _by_integers(bench: _Bench, name: str) -> Diagnosis | None:
    want, got, rounded = bench.want[name], bench.got[name], bench.rounded[name]
    before, after = distance(want, got), distance(want, rounded)
    if after > AGREES_WITHIN * max(bench.case.allowed[name], _LEAST) or after * CLEARLY_BETTER > before:
        return None
    return Diagnosis(
        cause="integer_kernels",
        sentence="the file is right: computed in floats, with its own steps, it is as near as asked; what "
        "the target makes of the integers is not",
        error_before=before,
        error_after=after,
    )


def _bench(case: Case, artifact: Artifact, exact: Artifact | None, within_seconds: float) -> _Bench | None:
    ends_at = time.monotonic() + within_seconds
    samples = failing_on_some(case, artifact)
    if samples is None:
        return None
    return _Bench(
        content=artifact.path.read_bytes(),
        weights=() if exact is None else constants_of(exact.path.read_bytes()),
        inputs=samples[0],
        want=samples[1],
        got=samples[2],
        case=case,
        ends_at=ends_at,
        batch_size=artifact.signature.fixed_batch or 1,
    )


def failing_on_some(case: Case, artifact: Artifact) -> tuple[Tensors, Tensors, Tensors] | None:
    """Inputs, wanted and given answers of the failing outputs, on the samples that are most wrong and as many others.

    None where answers cannot be computed sample by sample, or are no numbers of the right shape.
    """
    names = [name for name in case.want if name in (case.failing or case.differing)]
    fitting = all(
        case.want[name].dtype.kind in "fiub" and case.got[name].shape == case.want[name].shape for name in names
    )
    if not names or not fitting or any(not spec.batched for spec in artifact.signature.inputs):
        return None
    rows = _rows(case, names, artifact.signature.fixed_batch or 1)
    inputs, want, got = (
        {name: array[rows] for name, array in tensors.items()} for tensors in (case.inputs, case.want, case.got)
    )
    return inputs, {name: want[name] for name in names}, {name: got[name] for name in names}


def _rows(case: Case, names: Sequence[str], batch_size: int) -> NDArray[np.int64]:
    """The samples that are most wrong, and as many others; whole batches where their size is fixed."""
    count = len(case.want[names[0]])
    if batch_size > 1:
        return np.arange(count // batch_size * batch_size)[:_ROWS]
    errors = np.zeros(count)
    for name in names:
        off = np.nan_to_num(np.abs(_real(case.got[name]) - _real(case.want[name]))).reshape(count, -1)
        errors = np.maximum(errors, off.max(axis=1, initial=0.0) / (off.max(initial=0.0) or 1.0))
    worst = np.argsort(-errors, kind="stable")[: _ROWS // 2]
    return np.unique([*worst, *np.linspace(0, count - 1, min(count, _ROWS // 2)).astype(int)])


def answered(content: bytes, inputs: Tensors, batch_size: int) -> Tensors:
    """What TensorFlow's interpreter answers, so many samples at a time. Raises what it raises."""
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        interpreter = tf.lite.Interpreter(
            model_content=content,
            # XNNPACK of a file's own making is another kernel again, and what is to be told apart is the steps.
            experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
    run = interpreter.get_signature_runner()
    return concatenated([run(**batch) for batch in batches(inputs, batch_size)])


def differing(want: NDArray[Any], got: NDArray[Any], tolerance: Tolerance) -> NDArray[np.bool_]:
    """Which values are further apart than the tolerance allows; what is no float has to be equal."""
    if want.dtype.kind != "f":
        return np.asarray(want != got)
    want, got = _real(want), _real(got)
    with np.errstate(invalid="ignore"):
        near = np.abs(got - want) <= tolerance.atol + tolerance.rtol * np.abs(want)
    return np.asarray(~(near | (got == want) | (np.isnan(got) & np.isnan(want))))


def _real(values: NDArray[Any]) -> NDArray[np.float64]:
    return values.astype(np.float64)
