"""Stale weights: the answers of another training of the model."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.diagnosis.case import Case
from pipeline.diagnosis.rule import Freedom, Trial


def older_trainings(case: Case) -> Iterator[Trial]:
    """The answers that earlier trainings gave to the same inputs."""
    for called, answers in case.earlier.items():
        if answers.keys() == case.want.keys():
            yield Trial(
                cause="stale_weights",
                sentence=f"these are the answers of {called}: the target has stale weights",
                want=answers,
                got=case.got,
                freedom=Freedom.ONE_OF_FEW,
            )
