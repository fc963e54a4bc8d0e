"""The diagnosis that needs nothing but the answers: no model is run."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.diagnosis import names, non_finite, orders, repeatability, rows, stored, values
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.rule import Trial, fits, named, tried
from pipeline.parity.diagnosis import Diagnosis


def diagnosed_by_answers(case: Case) -> Diagnosis:
    """The cause that explains the answers, or the unknown one.

    What is about single calls comes before what is about values: a target that is right once has the right model.
    """
    plain = names.fact(case)
    if plain is not None:
        return plain
    allowed = dict(case.allowed)
    before = max(case.distances_at(case.batch_size).values())
    misaligned = [tried(trial, allowed) for trial in rows.misaligned(case)]
    if any(fits(one, before=before) for one in misaligned):
        return named(misaligned, before=before)
    plain = repeatability.fact(case) or non_finite.fact(case)
    if plain is not None:
        return plain
    return named((tried(trial, allowed) for trial in _trials(case)), before=before)


def _trials(case: Case) -> Iterator[Trial]:
    yield from stored.older_trainings(case)
    yield from names.swapped(case)
    yield from rows.ignoring_inputs(case)
    worst = case.differing[0]
    yield from values.trials(case, worst)
    yield from orders.permuted_classes(case, worst)
    yield from orders.transposed_axes(case, worst)
