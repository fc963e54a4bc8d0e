"""Which of the layers that a converter fused is at fault: each is changed in the trained model, and compared again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.artifact_graph import ArtifactGraph
from pipeline.core.signature import Tensors
from pipeline.core.wording import quoted
from pipeline.explain.alternatives import alternatives
from pipeline.explain.explanation import Manner
from pipeline.explain.measure import Broke
from pipeline.explain.points import Point, owner
from pipeline.explain.rule import difference
from pipeline.explain.sources import Sources
from pipeline.explain.surgery import computed
from pipeline.explain.trained import Layer, TrainedModel

_NORMALIZES = frozenset({"BatchNormalization"})
_KERNELS = ("Conv", "Dense", "EinsumDense", "Embedding")
# A layer that was run otherwise explains an error when what is left of it is no more than the precision's own.
_EXPLAINED = 2.0
# And a third of what it was: within a wide limit, what hardly changes anything would explain everything.
_BETTER = 3.0
_AS_GOOD = 2.0
_FEWEST_VALUES = 8
_STILL_DEPENDS = 0.01


@dataclass(frozen=True, kw_only=True)
class Named:
    """The layer at fault and what is known of how; `how` says it in words where the manner alone does not."""

    layer: str
    manner: Manner
    how: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A point that is out of line: its layers in order, what came out of it alone, and how much error is usual.

    `held` is what the trained model has at the stops of its `sources`, by operation.
    """

    point: Point
    layers: Sequence[str]
    before: frozenset[str]
    got: NDArray[Any] | Broke
    want: NDArray[Any]
    limit: float
    samples: Tensors
    held: Tensors
    sources: Sources


def named(case: Case, trained: TrainedModel, graph: ArtifactGraph) -> Named:
    """The layer whose change explains what came out; without one, the layer that holds the kernel, or the last."""
    suspects = [layer for layer in map(trained.anatomy.layer, case.layers) if layer is not None]
    for layer in _left_on(case, trained, graph):
        return Named(layer=layer, manner="training")
    if isinstance(case.got, Broke):
        return Named(layer=_likeliest(suspects, case), manner="broken")
    if case.got.shape != case.want.shape:
        return Named(layer=_likeliest(suspects, case), manner="shape")
    explained = next(_explained(suspects, case, trained, graph), None)
    return explained or Named(layer=_likeliest(suspects, case), manner="values")


def _explained(suspects: Sequence[Layer], case: Case, trained: TrainedModel, graph: ArtifactGraph) -> Iterator[Named]:
    """Every explanation, that which says most first."""
    yield from _in_training(suspects, case, trained)
    yield from _altered(suspects, case, trained)
    yield from _cut_off(case)
    if (normalizing := _scaled(suspects, case, trained)) is not None:
        yield Named(layer=normalizing, manner="affine")
    for layer in _replaced(suspects, trained, graph):
        yield Named(layer=layer, manner="values")


def _likeliest(suspects: Sequence[Layer], case: Case) -> str:
    kernels = [layer.name for layer in suspects if layer.kind.startswith(_KERNELS) or layer.kind.endswith("Conv2D")]
    weighted = [layer.name for layer in suspects if layer.weighted]
    return (kernels or weighted or [case.point.layer])[0]


def _replaced(suspects: Sequence[Layer], trained: TrainedModel, graph: ArtifactGraph) -> Iterator[str]:
    """Pooling layers, which converters fold into nothing, and of which the artifact has no operation."""
    present = {layer.name for node in graph.nodes if (layer := owner(node, trained.anatomy)) is not None}
    for layer in suspects:
        if "Pooling" in layer.kind and layer.name not in present:
            yield layer.name


def _left_on(case: Case, trained: TrainedModel, graph: ArtifactGraph) -> Iterator[str]:
    """Layers that do nothing in the trained model when it answers, and something in the artifact: dropout, noise."""
    idle = {layer.name for layer in trained.anatomy.layers if layer.gives is not None and layer.gives == layer.takes}
    for node in graph.between(case.point.node.handle, case.before):
        layer = owner(node, trained.anatomy)
        if layer is not None and layer.name in idle and node.handle in graph.fed:
            yield layer.name


def _in_training(suspects: Sequence[Layer], case: Case, trained: TrainedModel) -> Iterator[Named]:
    for layer in suspects:
        if layer.kind in _NORMALIZES:
            values = trained.values([case.point.operation], case.samples, changed={layer.name: "training"})
            if _explains(values[case.point.operation], case):
                yield Named(layer=layer.name, manner="training")


def _altered(suspects: Sequence[Layer], case: Case, trained: TrainedModel) -> Iterator[Named]:
    """The change of the trained graph that makes what came out: the best, and of equally good ones the simplest."""
    if isinstance(case.got, Broke):
        return
    tried = list(alternatives(case.sources.between, suspects, trained.anatomy))
    values = computed(
        trained, case.point.operation, [each.rewire for each in tried], held=case.held, samples=case.samples
    )
    rests = {
        position: rest.relative
        for position, value in enumerate(values)
        if value is not None and _explains(value, case) and (rest := difference(case.got, value)).relative is not None
    }
    if rests:
        enough = max(_AS_GOOD * min(rests.values()), case.limit)
        best = tried[next(position for position, rest in rests.items() if rest <= enough)]
        yield Named(layer=best.layer, manner=best.manner, how=best.how)


def _cut_off(case: Case) -> Iterator[Named]:
    """The layer at which something joins in the trained model that the artifact's piece does not depend on."""
    joins = case.sources.joins
    if joins is not None:
        how = f"nothing gets there of {quoted(sorted(case.sources.lost))}: no operation of the artifact leads there"
        yield Named(layer=joins.layer or joins.name, manner="cut off", how=how)


def _known(name: str, trained: TrainedModel) -> bool:
    return name in trained.anatomy.by_name


def _scaled(suspects: Sequence[Layer], case: Case, trained: TrainedModel) -> str | None:
    """The normalization whose input, scaled and moved channel by channel, is what came out; where a ReLU left any."""
    layer = next((each for each in suspects if each.kind in _NORMALIZES and each.takes is not None), None)
    if layer is None or layer.takes is None or isinstance(case.got, Broke) or not _known(layer.takes, trained):
        return None
    (taken,) = trained.values([layer.takes], case.samples).values()
    if taken.shape != case.got.shape:
        return None
    fitted = np.zeros_like(case.got, dtype=np.float64)
    for channel in range(taken.shape[-1]):
        x, y = taken[..., channel].astype(np.float64), case.got[..., channel].astype(np.float64)
        active = y > 0 if (y >= 0).all() else np.ones(y.shape, dtype=bool)
        if active.sum() < _FEWEST_VALUES:
            fitted[..., channel] = y
            continue
        slope, offset = np.polyfit(x[active], y[active], 1)
        if abs(slope) * x[active].std() < _STILL_DEPENDS * case.want[..., channel].std():
            # What came out no longer depends on what the normalization takes: it got something else.
            return None
        fitted[..., channel] = np.where(active, slope * x + offset, y)
    return layer.name if _explains(fitted, case) else None


def _explains(value: NDArray[Any], case: Case) -> bool:
    if isinstance(case.got, Broke) or value.shape != case.got.shape:
        return False
    rest, before = difference(case.got, value), difference(case.got, case.want)
    if rest.relative is None or rest.relative > _EXPLAINED * case.limit:
        return False
    return before.relative is None or _BETTER * rest.relative <= before.relative
