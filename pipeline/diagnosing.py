"""The failing rows of a run with their probable causes; a run without a failure costs nothing here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from pipeline import golden
from pipeline.config import Config
from pipeline.core.outcome import Recording
from pipeline.core.signature import Tensors
from pipeline.diagnosis.by_answers import diagnosed_by_answers
from pipeline.diagnosis.case import Case
from pipeline.golden import Golden
from pipeline.parity.diagnosis import Diagnosis
from pipeline.parity.row import Row
from pipeline.parity.status import Fail
from pipeline.plan import TRAIN
from pipeline.store import Store
from pipeline.workflow import Ran


def with_causes(rows: Sequence[Row], ran: Ran, config: Config, model: str, kept: Golden) -> tuple[Row, ...]:
    """The rows, each failing one with its diagnosis. `rows` belong to the run's cells, in their order."""
    if not any(isinstance(row.status, Fail) for row in rows):
        return tuple(rows)
    earlier = _earlier_answers(ran, config, model, kept)
    diagnosed = []
    for row, cell in zip(rows, ran.cells, strict=True):
        outcome = ran.outcome(cell)
        cause: Diagnosis | None = None
        if isinstance(row.status, Fail) and isinstance(outcome, Recording):
            cause = diagnosed_by_answers(_case(row, ran, outcome, kept, earlier))
        diagnosed.append(msgspec.structs.replace(row, diagnosis=cause))
    return tuple(diagnosed)


def _case(row: Row, ran: Ran, recording: Recording, kept: Golden, earlier: Mapping[str, Tensors]) -> Case:
    scores = ran.trained.facts["scores"]
    return Case(
        inputs=kept.inputs,
        want=kept.reference,
        answers=recording.outputs,
        tolerances=row.tolerances,
        scores_output=None if scores is None else scores["output"],
        classes=() if scores is None else tuple(scores["classes"]),
        earlier=earlier,
    )


def _earlier_answers(ran: Ran, config: Config, model: str, kept: Golden) -> dict[str, Tensors]:
    """What other trainings in the store answered, where they were asked the same."""
    found: dict[str, Tensors] = {}
    for folder in Store(root=config.store_path).newest(model, TRAIN):
        file = folder / golden.GOLDEN_FILE
        if folder.name != ran.trained.path.name and file.is_file():
            other = golden.load(file)
            if _same(other.inputs, kept.inputs):
                found[f"the training {folder.name}"] = other.reference
    return found


def _same(left: Tensors, right: Tensors) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)
