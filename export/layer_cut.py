"""A cut through a graph of layers, as somebody asked for it: what is behind it, or why there is no such cut."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from export.layer_graph import LayerGraph, Place
from pipeline.core.errors import UsageError
from pipeline.core.wording import quoted


@dataclass(frozen=True, kw_only=True)
class LayerCut:
    """`after` are the layers whose answers the part behind takes; `kept` are inputs of the model that it takes, too.

    `front` are the layers that stay in front, in the order in which they run, inputs of the model included.
    """

    after: tuple[str, ...]
    kept: tuple[str, ...]
    front: tuple[str, ...]


def checked_cut(graph: LayerGraph, asked: Sequence[str]) -> LayerCut:
    """The cut behind these layers. An input of the model that is named stays an input, and so does one that feeds none
    of the other layers.

    Raises UsageError for a layer that is not there, gives several tensors or is used several times; when an input that
    the cut is to stand behind is needed behind it as well; and when nothing would be left on one of the two sides.
    """
    named = tuple(dict.fromkeys(asked))
    for name in named:
        _check_place(graph, name)
    after = tuple(name for name in named if name not in graph.inputs)
    if not after:
        raise UsageError(
            f"{_options(named)}: nothing would be left in front, only inputs of the model are named",
            hint="name a layer that reads them",
        )
    behind = graph.behind(named)
    if not behind:
        raise UsageError(f"{_options(after)}: nothing lies behind, the model ends there", hint="name a layer before it")
    fed = graph.in_front(after)
    for name in graph.inputs:
        if name in behind and name in fed:
            raise _second_branch(graph, name, named, behind)
    for name in after:
        if not graph.takers(name, behind) and name not in graph.outputs:
            others = quoted(other for other in after if other != name)
            raise UsageError(
                f"--after {name}: it lies in front of {others}, and nothing behind needs it", hint=f"leave {name} out"
            )
    taken = (*named, *behind)
    return LayerCut(
        after=after,
        kept=tuple(name for name in graph.inputs if name in taken),
        front=tuple(place.name for place in graph.places if place.name in fed),
    )


def _check_place(graph: LayerGraph, name: str) -> None:
    by_name = {place.name: place for place in graph.places}
    if name not in by_name:
        raise _unknown(graph, name)
    place = by_name[name]
    if place.calls > 1:
        raise UsageError(
            f"--after {name}: the layer is used {place.calls} times, and each use answers something else",
            hint=f"name the layers behind it: {_named(graph.takers(name, by_name))}",
        )
    if place.gives != 1:
        raise UsageError(
            f"--after {name}: it has {place.gives} outputs, and an input of a model is one tensor",
            hint=f"name the layers behind it: {_named(graph.takers(name, by_name))}",
        )


def _unknown(graph: LayerGraph, name: str) -> UsageError:
    outer = next((place for place in graph.places if _is_within(place, name)), None)
    if outer is not None:
        return UsageError(
            f"--after {name}: it is a layer of the submodel `{outer.name}`, which counts as one layer",
            hint=f"--after {outer.name}",
        )
    every = [place.name for place in graph.places]
    near = difflib.get_close_matches(name, every, n=1)
    shown = ", ".join(every[:12]) + (" and so on" if len(every) > 12 else "")
    return UsageError(
        f"--after {name}: the model has no such layer",
        hint=f"did you mean `{near[0]}`?" if near else f"its layers are {shown}",
    )


def _is_within(place: Place, name: str) -> bool:
    outer, _, rest = name.partition("/")
    return name in place.within or (outer == place.name and rest.rpartition("/")[2] in place.within)


def _second_branch(graph: LayerGraph, name: str, named: Sequence[str], behind: frozenset[str]) -> UsageError:
    takers = graph.takers(name, behind)
    where = f"the layer {_named(takers)} behind the cut" if takers else "an output of the model"
    also = f"{_options((*named, *takers))} cuts these, too; " if takers else ""
    return UsageError(
        f"{_options(named)}: the input `{name}` is needed by {where}, so that the cut does not part the model",
        hint=f"{also}{_options((*named, name))} keeps `{name}` as an input beside",
    )


def _options(names: Sequence[str]) -> str:
    return " ".join(f"--after {name}" for name in names)


def _named(names: Sequence[str]) -> str:
    return quoted(names) or "there are none"
