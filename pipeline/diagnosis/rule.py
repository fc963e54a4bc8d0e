"""When a cause is named: the one rule that all experiments are judged by.

A cause is named only when, with what it would have done allowed for, the answers agree about as well as the target's
tolerance asks, and clearly better than before. Several may do so; then the simplest of the best is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from pipeline.core.signature import Tensors
from pipeline.diagnosis.distance import distance
from pipeline.parity.diagnosis import UNKNOWN, Diagnosis

AGREES_WITHIN = 3.0
"""Times the allowed distance: an experiment also meets the noise of what it does itself."""
CLEARLY_BETTER = 5.0
"""Times less error than without it."""
_AS_GOOD = 2.0


class Freedom(IntEnum):
    """How much of a hypothesis is chosen after seeing the answers: the more, the more it has to explain."""

    NONE = 0
    ONE_OF_FEW = 1
    FITTED = 2
    MANY = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One experiment: were `cause` true, `got` would be `want`. Both by output; either side may be transformed.

    Numbers fitted to the answers are fitted on other rows than those compared here. `before` is the error to beat where
    it is not that of the answers as they came. `varies` says by output how much the reference varies, where `want` is
    made of too few of its samples to show it.
    """

    cause: str
    sentence: str
    want: Tensors
    got: Tensors
    freedom: Freedom = Freedom.NONE
    before: float | None = None
    varies: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What became of a trial: the error of its worst output, and that error by the allowed one."""

    trial: Trial
    after: float
    by_allowed: float


def tried(trial: Trial, allowed: dict[str, float]) -> Tried:
    """The trial carried out. `allowed` has at least its outputs."""
    found = {name: distance(want, trial.got[name], varies=trial.varies.get(name)) for name, want in trial.want.items()}
    worst = max(found, key=lambda name: found[name] / _at_least(allowed[name]))
    return Tried(trial=trial, after=found[worst], by_allowed=found[worst] / _at_least(allowed[worst]))


def named(trials: Iterable[Tried], *, before: float) -> Diagnosis:
    """The cause that the rule names, or the unknown one, which then says what came nearest."""
    every = list(trials)
    fitting = [one for one in every if fits(one, before=before)]
    if not fitting:
        return _unknown(every, before)
    # Errors far below the tolerance are noise, and no reason to take the more complicated hypothesis.
    best = min(max(one.by_allowed, 0.1) for one in fitting)
    near = [one for one in fitting if max(one.by_allowed, 0.1) <= _AS_GOOD * best]
    cause = min(near, key=lambda one: one.trial.freedom).trial.cause
    # Of one cause's variants the nearest: two scales may both saturate a model, and only one is right.
    chosen = min((one for one in near if one.trial.cause == cause), key=lambda one: one.after)
    return Diagnosis(
        cause=chosen.trial.cause,
        sentence=chosen.trial.sentence,
        error_before=before if chosen.trial.before is None else chosen.trial.before,
        error_after=chosen.after,
        tried=len(every),
    )


def fits(one: Tried, *, before: float) -> bool:
    """Whether the experiment came out as the cause would have it."""
    beaten = before if one.trial.before is None else one.trial.before
    return one.by_allowed <= AGREES_WITHIN and one.after * CLEARLY_BETTER <= beaten


def _unknown(every: list[Tried], before: float) -> Diagnosis:
    nearest = min(every, key=lambda one: one.after, default=None)
    tail = "" if nearest is None or nearest.after >= before else f"; nearest came: {nearest.trial.sentence}"
    return Diagnosis(
        cause=UNKNOWN,
        sentence=f"no known cause fits{tail}",
        error_before=before,
        error_after=before if nearest is None else nearest.after,
        tried=len(every),
    )


def _at_least(allowed: float) -> float:
    # Integers have to be equal, and the experiments compute in floats.
    return max(allowed, 1e-6)
