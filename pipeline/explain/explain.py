"""Explaining an artifact: where it leaves the trained model, as the runtime that runs it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.artifact_graph import ArtifactGraph
from pipeline.core.artifact import Artifact, Precision
from pipeline.core.errors import TripointError
from pipeline.core.signature import Tensors, sample_count
from pipeline.core.target import Session
from pipeline.explain.cutting import graph_of
from pipeline.explain.explanation import SCHEMA, Difference, Explanation, Line
from pipeline.explain.measure import Broke, Laboratory
from pipeline.explain.misnamed import without_misnamed
from pipeline.explain.naming import Case, Named, named
from pipeline.explain.points import Point, paired
from pipeline.explain.rule import difference, limits, out_of_line
from pipeline.explain.sources import Sources
from pipeline.explain.trained import TrainedModel
from pipeline.explain.wording import sentence_of

MOST_SAMPLES = 32
_BATCH = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """What was measured at each point, beside what the trained model holds there (`truth`, by operation)."""

    precision: Precision
    graph: ArtifactGraph
    trained: TrainedModel
    points: Sequence[Point]
    truth: Tensors
    isolated: Sequence[NDArray[Any] | Broke]
    propagated: Sequence[NDArray[Any] | Broke]

    @cached_property
    def handles(self) -> frozenset[str]:
        return frozenset(self.operation_at)

    @cached_property
    def operation_at(self) -> Mapping[str, str]:
        return {point.node.handle: point.operation for point in self.points}


@dataclass(frozen=True, kw_only=True, eq=False)
class Examination:
    """An explanation, and what it was made from: `first` is the position of the first point that is out of line."""

    explanation: Explanation
    laboratory: Laboratory
    trained: TrainedModel
    isolated: Sequence[NDArray[Any] | Broke]
    first: int | None


def explain(
    artifact: Artifact,
    *,
    model: Any,
    session: Session,
    variant: str,
    samples: Tensors,
    target: str = "",
    output_names: Sequence[str] | None = None,
    most_samples: int = MOST_SAMPLES,
) -> Explanation:
    """Compare every layer of the artifact with the trained Keras `model`, in the runtime behind `session`.

    `samples` are real inputs; the half of `most_samples` on which the artifact is most wrong and as many others are
    looked at. `artifact.signature` is the one that the model was exported with. Raises ConversionFailed or ModelFailed
    for an artifact that cannot be read at all; one that does not run is explained as far as its pieces run.
    """
    return examined(
        artifact,
        model=model,
        session=session,
        variant=variant,
        samples=samples,
        target=target,
        output_names=output_names,
        most_samples=most_samples,
    ).explanation


def examined(
    artifact: Artifact,
    *,
    model: Any,
    session: Session,
    variant: str,
    samples: Tensors,
    target: str = "",
    output_names: Sequence[str] | None = None,
    most_samples: int = MOST_SAMPLES,
) -> Examination:
    """The explanation as `explain` gives it, with what it was made from."""
    trained = TrainedModel(
        model=model,
        output_names=tuple(output_names or artifact.signature.output_names),
        inputs=artifact.signature.inputs,
    )
    graph = graph_of(artifact)
    answers, remarks = _answers(artifact, session, variant, samples)
    chosen = _most_telling(samples, answers, trained, most_samples)
    points = paired(graph, trained.anatomy)
    wanted = dict.fromkeys(point.operation for point in points if point.operation not in chosen)
    truth = {**chosen, **trained.values(list(wanted), chosen)}
    laboratory = Laboratory(
        artifact=artifact,
        graph=graph,
        session=session,
        variant=variant,
        points=points,
        samples=chosen,
        truth=truth,
    )
    laboratory, isolated = without_misnamed(laboratory)
    found = _Found(
        precision=artifact.precision,
        graph=graph,
        trained=trained,
        points=laboratory.points,
        truth=truth,
        isolated=isolated,
        propagated=laboratory.propagated(),
    )
    lines = _lines(found)
    outputs = {} if answers is None else _outputs(answers, trained, samples)
    first = next((position for position, line in enumerate(lines) if line.out_of_line), None)
    cut_off = None if first is not None else _cut_off(found)
    culprit = cut_off if first is None else named(_case(found, lines[first], first, chosen), trained, graph)
    explanation = Explanation(
        schema=SCHEMA,
        model=artifact.model,
        target=target,
        format=artifact.format,
        precision=artifact.precision,
        artifact=str(artifact.path),
        samples=sample_count(chosen),
        lines=tuple(lines),
        outputs=outputs,
        first_divergent_layer=None if culprit is None else culprit.layer,
        suspects=() if culprit is None else (culprit.layer,) if first is None else lines[first].layers,
        manner=None if culprit is None else culprit.manner,
        sentence=sentence_of(culprit, None if first is None else lines[first], lines, outputs),
        remarks=tuple(remarks),
    )
    return Examination(explanation=explanation, laboratory=laboratory, trained=trained, isolated=isolated, first=first)


def _answers(
    artifact: Artifact, session: Session, variant: str, samples: Tensors
) -> tuple[Tensors | None, tuple[str, ...]]:
    """What the artifact answers as it is, or why it does not."""
    batched = all(spec.batched for spec in artifact.signature.inputs)
    try:
        with session.load(artifact, variant) as runner:
            answers = runner.run(samples, batch_size=_BATCH if batched else 1)
    except TripointError as error:
        return None, (f"as it is, the artifact does not run: {error.problem}",)
    return answers.outputs, ()


def _most_telling(
    samples: Tensors, answers: Tensors | None, trained: TrainedModel, most: int
) -> dict[str, NDArray[Any]]:
    """The samples with the largest errors, and the first of the others, in their order."""
    count = sample_count(samples)
    if count <= most:
        return dict(samples)
    rows = set(range(most)) if answers is None else _worst(samples, answers, trained, most // 2)
    rows |= set([row for row in range(count) if row not in rows][: most - len(rows)])
    return {name: array[sorted(rows)] for name, array in samples.items()}


def _worst(samples: Tensors, answers: Tensors, trained: TrainedModel, most: int) -> set[int]:
    answering = trained.anatomy.answers
    want = trained.values(list(answering.values()), samples)
    error = np.zeros(sample_count(samples))
    for name, operation in answering.items():
        got = answers.get(name)
        if got is not None and got.shape == want[operation].shape:
            gap = np.abs(got.astype(np.float64) - want[operation].astype(np.float64)).reshape(len(error), -1)
            error = np.maximum(error, np.nan_to_num(gap, nan=np.inf).max(axis=1))
    return set(np.argsort(-error, kind="stable")[:most].tolist())


def _lines(found: _Found) -> list[Line]:
    truths = [found.truth[point.operation] for point in found.points]
    alone = [difference(got, want) for got, want in zip(found.isolated, truths, strict=True)]
    whole = [difference(got, want) for got, want in zip(found.propagated, truths, strict=True)]
    bounds = limits(alone, found.precision)
    return [
        Line(
            layer=point.layer or point.operation,
            layers=_layers_of(point, found),
            operation=point.operation,
            tensor=";".join(point.node.names),
            isolated=isolated,
            propagated=propagated,
            limit=limit,
            out_of_line=out_of_line(isolated, limit),
        )
        for point, isolated, propagated, limit in zip(found.points, alone, whole, bounds, strict=True)
    ]


def _cut_off(found: _Found) -> Named | None:
    """The layer that an output does not get through to: its tensor holds what the model has before the output."""
    answering = found.trained.anatomy.answers
    held = {point.node.handle: point.operation for point in found.points}
    for output, operation in answering.items():
        before = held.get(found.graph.outputs.get(output, ""))
        # Two outputs that were exchanged have their layers all right.
        if before is not None and before != operation and before not in answering.values():
            return Named(layer=found.trained.anatomy.by_name[operation].layer, manner="missing")
    return None


def _layers_of(point: Point, found: _Found) -> tuple[str, ...]:
    """Whose work lies between this point and the others that the trained model makes it of, in order."""
    before = {found.operation_at[handle] for handle in found.graph.nearest(point.node.handle, found.handles)}
    if point.operation in before:
        # In the trained model nothing lies between: what the artifact does here was put in.
        return (point.layer or point.operation,)
    made = [each.layer for each in _sources(point, found).between if each.layer]
    return tuple(dict.fromkeys([*made, point.layer or point.operation]))


def _sources(point: Point, found: _Found) -> Sources:
    return Sources(point=point, anatomy=found.trained.anatomy, graph=found.graph, operation_at=found.operation_at)


def _outputs(answers: Tensors, trained: TrainedModel, samples: Tensors) -> dict[str, Difference]:
    answering = trained.anatomy.answers
    want = trained.values(list(answering.values()), samples)
    return {name: difference(answers[name], want[op]) for name, op in answering.items() if name in answers}


def _case(found: _Found, line: Line, position: int, samples: Tensors) -> Case:
    point = found.points[position]
    sources = _sources(point, found)
    return Case(
        point=point,
        layers=line.layers,
        before=found.graph.nearest(point.node.handle, found.handles),
        got=found.isolated[position],
        want=found.truth[point.operation],
        limit=line.limit,
        samples=samples,
        held={name: found.truth[name] for name in sources.stops if name in found.trained.anatomy.by_name},
        sources=sources,
    )
