"""Which front part of a model an app would have to keep, so that nothing is in the way of the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from export.layer_cut import checked_cut
from export.layer_graph import LayerGraph
from pipeline.adoption import FACT, adopted_from_json, command_to_adopt
from pipeline.core.errors import UsageError
from pipeline.core.wording import quoted
from pipeline.preflight.findings import Line, Obstacle


def layers_to_keep(obstacles: Iterable[Obstacle], graph: LayerGraph | None) -> tuple[str, ...]:
    """The smallest set of layers behind which none of the obstacles lies, as `--after` takes it; empty when there is
    none, when no layer is known for an obstacle, and without obstacles.
    """
    found = tuple(obstacles)
    if graph is None or not found or not all(obstacle.layers for obstacle in found):
        return ()
    known = {place.name for place in graph.places}
    outermost = {layer.partition("/")[0] for obstacle in found for layer in obstacle.layers}
    return smallest_cut(graph, outermost) if outermost <= known else ()


def smallest_cut(graph: LayerGraph, obstacles: Collection[str]) -> tuple[str, ...]:
    """The fewest layers, as near to the obstacles as can be, that every path from an obstacle to an output passes.

    An input that is needed on both sides is named with them. Empty when a model cannot be cut so: a layer that is used
    twice, gives several tensors, or is where the model ends is none to cut behind.

    By Menger's theorem: the layers that are full in a maximum flow through vertices that let one unit pass.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    number = {place.name: at for at, place in enumerate(graph.places)}
    count = len(number)
    source, sink, unlimited = 2 * count, 2 * count + 1, count + 1
    capacity = np.zeros((2 * count + 2, 2 * count + 2), dtype=np.int32)
    for place in graph.places:
        at = number[place.name]
        cuttable = place.calls == 1 and place.gives == 1 and place.name not in (*graph.inputs, *graph.outputs)
        capacity[2 * at, 2 * at + 1] = 1 if cuttable else unlimited
        for taken in place.takes:
            capacity[2 * number[taken] + 1, 2 * at] = unlimited
    for name in obstacles:
        capacity[source, 2 * number[name]] = unlimited
    for name in graph.outputs:
        capacity[2 * number[name] + 1, sink] = unlimited
    found = maximum_flow(csr_array(capacity), source, sink)
    if not 0 < found.flow_value < unlimited:
        return ()
    left = csr_array(capacity - found.flow.toarray())
    left.eliminate_zeros()
    reached = set(breadth_first_order(left, source, return_predecessors=False).tolist())
    full = [name for name, at in number.items() if 2 * at in reached and 2 * at + 1 not in reached]
    return _with_shared_inputs(graph, full)


def kept_in_app(obstacles: Iterable[Obstacle], facts: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """The layers that an app has to keep so that no obstacle is left, and the command that ships the rest.

    Nothing and an empty command where there are none, or where the model, of which these are the facts, was not
    adopted.
    """
    graph, adopted = facts.get("layer_graph"), facts.get(FACT)
    if graph is None or adopted is None:
        return (), ""
    own = msgspec.convert(graph, LayerGraph)
    before = adopted_from_json(adopted)
    after = layers_to_keep(obstacles, own)
    if not after:
        return (), ""
    # Of a part, inputs are named that the whole does not have.
    kept = [name for name in checked_cut(own, after).kept if name in before.after and name not in after]
    return after, command_to_adopt(before, (*after, *kept))


def with_advice(lines: Sequence[Line], *, after: Sequence[str], command: str) -> tuple[Line, ...]:
    """The lines, each obstacle with the command that ships the part behind those layers."""
    ships = advice_to_keep(after, command)
    return tuple(
        msgspec.structs.replace(
            line,
            obstacles=tuple(
                msgspec.structs.replace(obstacle, helps=f"{obstacle.helps}; {ships}") for obstacle in line.obstacles
            ),
        )
        for line in lines
    )


def advice_to_keep(after: Sequence[str], command: str) -> str:
    """One sentence: what the command does about all that is in the way."""
    named = quoted(after)
    return (
        f"`{command}` ships the part behind {named}, in which none of this is, and leaves what is in front to the app"
    )


def _with_shared_inputs(graph: LayerGraph, full: Sequence[str]) -> tuple[str, ...]:
    behind, front = graph.behind(full), graph.in_front(full)
    after = (*full, *(name for name in graph.inputs if name in behind and name in front))
    try:
        checked_cut(graph, after)
    except UsageError:
        return ()
    return after
