"""Which of the layers that a converter fused is at fault: each is changed in the trained model, and compared again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.artifact_graph import ArtifactGraph
from pipeline.core.signature import Tensors
from pipeline.explain.explanation import Manner
from pipeline.explain.measure import Broke
from pipeline.explain.points import Point, owner
from pipeline.explain.rule import difference
from pipeline.explain.trained import Layer, TrainedModel

_NORMALIZES = frozenset({"BatchNormalization"})
_KERNELS = ("Conv", "Dense", "EinsumDense", "Embedding")
# A layer that was run otherwise explains an error when what is left of it is no more than the precision's own.
_EXPLAINED = 2.0
_FEWEST_VALUES = 8
_STILL_DEPENDS = 0.01


@dataclass(frozen=True, kw_only=True)
class Named:
    """The layer at fault and what is known of how."""

    layer: str
    manner: Manner


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A point that is out of line: its layers in order, what came out of it alone, and how much error is usual."""

    point: Point
    layers: Sequence[str]
    before: frozenset[str]
    got: NDArray[Any] | Broke
    want: NDArray[Any]
    limit: float
    samples: Tensors


def named(case: Case, trained: TrainedModel, graph: ArtifactGraph) -> Named:
    """The layer whose change explains what came out; without one, the layer that holds the kernel, or the last."""
    suspects = [layer for layer in map(trained.anatomy.layer, case.layers) if layer is not None]
    for layer in _left_on(case, trained, graph):
        return Named(layer=layer, manner="training")
    if isinstance(case.got, Broke):
        return Named(layer=_likeliest(suspects, case), manner="broken")
    if case.got.shape != case.want.shape:
        return Named(layer=_likeliest(suspects, case), manner="shape")
    for explained in (*_in_training(suspects, case, trained), *_missing(suspects, case, trained)):
        return explained
    if (normalizing := _scaled(suspects, case, trained)) is not None:
        return Named(layer=normalizing, manner="affine")
    replaced = next(_replaced(suspects, trained, graph), None)
    return Named(layer=replaced or _likeliest(suspects, case), manner="values")


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


def _missing(suspects: Sequence[Layer], case: Case, trained: TrainedModel) -> Iterator[Named]:
    last = trained.anatomy.by_name.get(case.point.operation)
    if last is not None and last.inputs and last.inputs[0] in trained.anatomy.by_name:
        (value,) = trained.values([last.inputs[0]], case.samples).values()
        if _explains(value, case):
            yield Named(layer=last.layer, manner="missing")
    for layer in suspects:
        if layer.takes is None or layer.gives is None or layer.name == case.point.layer:
            continue
        shapes = [trained.anatomy.by_name[name].shape for name in (layer.takes, layer.gives) if _known(name, trained)]
        if len(shapes) == 2 and shapes[0] == shapes[1]:
            values = trained.values([case.point.operation], case.samples, changed={layer.name: "skip"})
            if _explains(values[case.point.operation], case):
                yield Named(layer=layer.name, manner="missing")


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
    rest = difference(case.got, value)
    return rest.relative is not None and rest.relative <= _EXPLAINED * case.limit
