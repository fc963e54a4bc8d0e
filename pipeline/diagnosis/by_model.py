"""The diagnosis that runs the trained model: on inputs as a faulty app sends them, and with a layer or weights changed.

It needs TensorFlow, so it is called in a worker.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipeline.core.artifact import Artifact
from pipeline.core.signature import Tensors
from pipeline.diagnosis import by_file, inputs, layers, ranges, training_mode, weights
from pipeline.diagnosis.artifact_weights import held_by
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.distance import worst_distance
from pipeline.diagnosis.graph import Graph, has_layers
from pipeline.diagnosis.rule import Freedom, Trial, Tried, fits, named, tried
from pipeline.foreign_keras import kept_model
from pipeline.parity.diagnosis import UNKNOWN, Diagnosis

# All activations of so many samples are kept at once.
_ROWS = 256
_SCREENED_ROWS = 48
_SCREENED_IN = 0.5
_ZOOMS = 14


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the experiments are made with. `others` are trained models by what they are called.

    After `within_seconds` no experiment is begun any more; one that is under way is not cut off.
    """

    trained: Path
    artifact: Artifact | None = None
    others: Mapping[str, Path] = field(default_factory=dict)
    within_seconds: float = 60.0


def diagnosed_by_model(case: Case, surroundings: Surroundings) -> Diagnosis:
    """The cause that explains the answers, or the unknown one, which says when time ran out before all was tried.

    The time begins here, so that loading a large model counts.
    """
    ends_at = time.monotonic() + surroundings.within_seconds
    model = kept_model(surroundings.trained)
    if not has_layers(model):
        return Diagnosis(cause=UNKNOWN, sentence="no experiments: a subclassed model has no graph of layers to change")
    case = case.first(_ROWS)
    before = max(case.distances_at(case.batch_size).values())
    bench = _Bench(
        case=case,
        model=model,
        before=before,
        ends_at=ends_at,
        limits=_limits(model, case, surroundings.artifact),
    )
    if surroundings.artifact is not None and not bench.late:
        plain = by_file.fact(surroundings.artifact, Graph(model, tuple(case.want), case.inputs), case.inputs)
        if plain is not None:
            return plain
    tested: list[Tried] = []
    for stage in (_weights, _ranges, _inputs, _layers, _batches, _others):
        if bench.late:
            break
        found = [bench.carried_out(trial) for trial in stage(bench, surroundings)]
        tested += found
        # Weights are read from the file, so what they explain needs no other explanation.
        if stage is _weights and any(fits(one, before=before) for one in found):
            return named(found, before=before)
    # What was put to the test on all samples was looked at on a few before.
    passed_over = bench.screened.count(False)
    diagnosis = named(tested, before=before)
    diagnosis = msgspec.structs.replace(diagnosis, tried=diagnosis.tried + passed_over)
    if diagnosis.cause == UNKNOWN and not bench.late:
        drawn = training_mode.by_draws(case, model, tuple(case.want), before=before)
        if drawn is not None:
            return drawn
    if bench.late:
        cut_short = f"{diagnosis.sentence}; not all was tried in {surroundings.within_seconds:.0f} s"
        return msgspec.structs.replace(diagnosis, sentence=cut_short)
    return diagnosis


@dataclass(frozen=True, kw_only=True, eq=False)
class _Bench:
    """The model on a few samples, to look for candidates, and on all, to put them to the test."""

    case: Case
    model: Any
    before: float
    ends_at: float
    limits: Mapping[str, tuple[float, float]]
    # One for each candidate that was looked at on the few samples.
    screened: list[bool] = field(default_factory=list)

    @property
    def late(self) -> bool:
        return time.monotonic() > self.ends_at

    @property
    def rows(self) -> Any:
        """The samples that candidates are looked for on, spread over all."""
        count = len(next(iter(self.case.want.values())))
        return np.unique(np.linspace(0, count - 1, min(count, _SCREENED_ROWS)).astype(int))

    def graph(self, samples: Tensors) -> Graph:
        """The model, its values held within the artifact's quantized ranges as they are there."""
        return Graph(self.model, tuple(self.case.want), samples, limits=self.limits)

    def few(self, tensors: Tensors) -> dict[str, Any]:
        return {name: array[self.rows] for name, array in tensors.items()}

    def promising(self, answers: Tensors) -> bool:
        """Whether the answers to the few samples are much nearer than the reference's own."""
        got = self.few(self.case.got)
        near = worst_distance(answers, got) < _SCREENED_IN * worst_distance(self.few(self.case.want), got)
        self.screened.append(near)
        return near

    def carried_out(self, trial: Trial) -> Tried:
        return tried(trial, dict(self.case.allowed))


def _limits(model: Any, case: Case, artifact: Artifact | None) -> Mapping[str, tuple[float, float]]:
    if artifact is None:
        return {}
    names = [place.name for place in Graph(model, tuple(case.want), case.first(1).inputs).places]
    return ranges.of_layers(names, ranges.of_artifact(artifact))


def _weights(bench: _Bench, surroundings: Surroundings) -> Iterator[Trial]:
    """What the artifact's own weights do to the trained model's answers."""
    artifact = surroundings.artifact
    if artifact is None:
        return
    graph = bench.graph(bench.case.inputs)
    held = held_by(artifact)
    found = weights.compared(graph, held)
    damaged = [one for one in found if one.off.any()]
    if len(damaged) > max(2, len(found) // 2):
        found = weights.compared(graph, held, all_foreign=True)
        damaged = [one for one in found if one.off.any()]
        what = f"{len(damaged)} of {len(found)} weights are not the trained model's"
        yield _transplanted(bench, damaged, "other_weights", what)
    elif damaged:
        worst = max(damaged, key=lambda one: np.nan_to_num(np.abs(one.found - one.want).max(), nan=np.inf))
        cause, what = weights.described(worst)
        more = f" (and {len(damaged) - 1} more weights differ)" if len(damaged) > 1 else ""
        yield _transplanted(bench, damaged, cause, f"weight `{worst.label}`: {what}{more}")


def _transplanted(bench: _Bench, damaged: list[weights.Compared], cause: str, sentence: str) -> Trial:
    values = {one.variable.path: (one.variable, one.unfolded) for one in damaged}
    with layers.weights_set(values), np.errstate(all="ignore"):
        answers = bench.graph(bench.case.inputs).answers()
    return Trial(cause=cause, sentence=sentence, want=answers, got=bench.case.got, freedom=Freedom.NONE)


def _ranges(bench: _Bench, surroundings: Surroundings) -> Iterator[Trial]:
    """What the trained model answers with its values cut off where the artifact's quantized ranges end."""
    artifact = surroundings.artifact
    graph = Graph(bench.model, tuple(bench.case.want), bench.case.inputs)
    found = [] if artifact is None else by_file.small_ranges(artifact, graph, bench.case.inputs)
    if found:
        clipped = bench.graph(ranges.clipped_inputs(bench.case.inputs, found))
        yield Trial(
            cause="range_too_small",
            sentence=by_file.says_of_ranges(found),
            want=clipped.answers(),
            got=bench.case.got,
            freedom=Freedom.NONE,
        )


def _inputs(bench: _Bench, _: Surroundings) -> Iterator[Trial]:
    """What the model answers to inputs as a faulty app sends them."""
    case = bench.case
    few = bench.few(case.inputs)
    graph = bench.graph(few)

    def answers_to(samples: Tensors) -> Tensors:
        graph.feed(samples)
        return graph.answers()

    candidates = [
        scaled
        for name in case.inputs
        if not bench.late and (scaled := _fitted_scale(bench, few, name, answers_to)) is not None
    ]
    whole = graph
    for changed in [*inputs.changes(case.inputs), *candidates]:
        if bench.late:
            return
        screened = {name: array[bench.rows] for name, array in changed.samples.items()}
        if bench.promising(answers_to(screened)):
            whole.feed(changed.samples)
            yield Trial(
                cause=changed.cause,
                sentence=changed.sentence,
                want=whole.answers(),
                got=case.got,
                freedom=changed.freedom,
            )


def _fitted_scale(
    bench: _Bench, few: Tensors, name: str, answers_to: Callable[[Tensors], Tensors]
) -> inputs.Changed | None:
    """The factor on one input that brings the answers nearest, when it brings them much nearer.

    None, too, when time runs out before it is found.
    """
    if few[name].dtype.kind != "f":
        return None
    got = bench.few(bench.case.got)

    def off(power: float) -> float:
        if bench.late:
            return math.inf
        changed = {**few, name: (few[name] * 2.0**power).astype(few[name].dtype)}
        return worst_distance(answers_to(changed), got)

    best = min(np.arange(-10, 10.5, 0.5), key=off)
    width = 0.5
    for _ in range(_ZOOMS):
        width /= 2
        best = min((best - width, best, best + width), key=off)
    if off(best) < _SCREENED_IN * bench.before and abs(best) > 1e-3:
        return inputs.scaled(bench.case.inputs, name, float(2.0**best))
    return None


def _layers(bench: _Bench, _: Surroundings) -> Iterator[Trial]:
    """What the model answers with a fault in one layer."""
    graph = bench.graph(bench.few(bench.case.inputs))
    whole: Graph | None = None
    for change in layers.changes(graph):
        if bench.late:
            return
        answers = _answered(graph, change)
        if answers is not None and bench.promising(answers):
            whole = whole or bench.graph(bench.case.inputs)
            yield Trial(
                cause=change.cause,
                sentence=change.sentence,
                want=whole.answers(change.calls),
                got=bench.case.got,
                freedom=Freedom.ONE_OF_FEW,
            )


def _answered(graph: Graph, change: layers.LayerChange) -> Tensors | None:
    """The answers, or None when the model does not fit together with this change."""
    try:
        return graph.answers(change.calls)
    except Exception:  # noqa: BLE001  # shapes that do not fit raise what TensorFlow, Keras and NumPy have for it
        return None


def _batches(bench: _Bench, _: Surroundings) -> Iterator[Trial]:
    yield from training_mode.by_batches(bench.case, bench.model, tuple(bench.case.want))


def _others(bench: _Bench, surroundings: Surroundings) -> Iterator[Trial]:
    """What other models answer to the same inputs."""
    import keras

    signature = [(tensor.name, tensor.shape) for tensor in bench.model.inputs]
    for called, file in surroundings.others.items():
        if bench.late:
            return
        other = keras.models.load_model(file, compile=False)
        if [(tensor.name, tensor.shape) for tensor in other.inputs] != signature:
            continue
        answers = Graph(other, tuple(bench.case.want), bench.case.inputs).answers()
        if answers.keys() == bench.case.want.keys():
            yield Trial(
                cause="other_model",
                sentence=f"these are the answers of {called}",
                want=answers,
                got=bench.case.got,
                freedom=Freedom.ONE_OF_FEW,
            )
