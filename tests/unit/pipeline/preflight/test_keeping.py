"""Which layers an app has to keep, so that nothing is in the way of what is behind them, and the command for it."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.layer_cut import checked_cut
from export.layer_graph import LayerGraph, Place
from pipeline.adoption import FACT, Adopted
from pipeline.core.errors import UsageError
from pipeline.preflight.findings import Line, Obstacle, Outlook
from pipeline.preflight.keeping import kept_in_app, layers_to_keep, smallest_cut, with_advice

ADOPTED = Adopted(name="reviews", kind="keras", source="/home/me/reviews.keras", source_digest="", folder="/home/me")


def graph(*edges: str, inputs: str = "text", outputs: str = "out", **odd: dict[str, int]) -> LayerGraph:
    """`a>b` means that b takes what a gives."""
    pairs = [edge.split(">") for edge in edges]
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    places = tuple(
        Place(name=name, takes=tuple(a for a, b in pairs if b == name), **odd.get(name, {}))  # type: ignore[arg-type]  # gives, calls
        for name in names
    )
    return LayerGraph(model="m", places=places, inputs=tuple(inputs.split()), outputs=tuple(outputs.split()))


def obstacle(*layers: str) -> Obstacle:
    return Obstacle(operation="StringLower", layers=layers, why="TF.js has no such operation", helps="do it before")


@pytest.mark.parametrize(
    ("model", "obstacles", "cut"),
    [
        (graph("text>vec", "vec>emb", "emb>out"), {"vec"}, ("vec",)),
        # Two branches of text that join: one layer behind the joint rather than two before it.
        (graph("text>a", "text>b", "a>join", "b>join", "join>mean", "mean>out"), {"a", "b"}, ("join",)),
        # Two texts that never join before the last layer.
        (graph("x>a", "y>b", "a>out", "b>out", inputs="x y"), {"a", "b"}, ("a", "b")),
        # Numbers beside stay an input; numbers that are read on both sides are named.
        (graph("text>vec", "n>cat", "vec>cat", "cat>out", inputs="text n"), {"vec"}, ("vec",)),
        (graph("n>noise", "n>cat", "noise>cat", "cat>out", inputs="n"), {"noise"}, ("noise", "n")),
        # A layer that is used twice, or gives two tensors, is none to cut behind: the next one is.
        (graph("text>vec", "vec>emb", "emb>out", vec={"calls": 2}), {"vec"}, ("emb",)),
        (graph("text>vec", "vec>emb", "emb>out", vec={"gives": 2}), {"vec"}, ("emb",)),
        # The last layer itself is in the way, or the text is an output.
        (graph("text>vec", "vec>out"), {"out"}, ()),
        (graph("text>vec", "vec>emb", "emb>out", outputs="out vec"), {"vec"}, ()),
    ],
)
def test_the_smallest_cut_is_found(model: LayerGraph, obstacles: set[str], cut: tuple[str, ...]) -> None:
    assert smallest_cut(model, obstacles) == cut


@given(
    edges=st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda edge: edge[0] < edge[1]), min_size=7),
    obstacles=st.sets(st.integers(1, 7), min_size=1, max_size=2),
)
def test_none_is_smaller_by_trying_them_all(edges: set[tuple[int, int]], obstacles: set[int]) -> None:
    """A cut that lets an obstacle through, or keeps more in the app than it has to, would be advised."""
    edges |= {(0, at) for at in range(1, 7)} | {(at, 7) for at in range(1, 7)}
    model = graph(*(f"n{a}>n{b}" for a, b in sorted(edges)), inputs="n0", outputs="n7")
    wanted = {f"n{at}" for at in obstacles}

    def parts(names: tuple[str, ...]) -> bool:
        return not model.behind(names) & wanted

    sizes = [
        size
        for size in range(1, 7)
        for names in itertools.combinations([f"n{at}" for at in range(1, 7)], size)
        if parts(names)
    ]
    cut = smallest_cut(model, wanted)
    assert bool(cut) == bool(sizes)
    if cut:
        assert parts(cut)
        assert len([name for name in cut if name not in model.inputs]) == min(sizes)
        assert set(checked_cut(model, cut).after) <= set(cut)


def test_layers_inside_a_submodel_count_as_it() -> None:
    model = graph("text>encoder", "encoder>mean", "mean>out")
    assert layers_to_keep([obstacle("encoder/vectorize"), obstacle("encoder")], model) == ("encoder",)


def test_nothing_is_said_where_no_layer_or_no_graph_is_known() -> None:
    model = graph("text>vec", "vec>emb", "emb>out")
    assert layers_to_keep([], model) == ()
    assert layers_to_keep([obstacle("vec")], None) == ()
    assert layers_to_keep([obstacle("vec"), obstacle()], model) == ()
    assert layers_to_keep([obstacle("elsewhere")], model) == ()


def test_the_command_is_one_that_can_be_typed_and_every_obstacle_says_it() -> None:
    model = graph("text>my vec", "my vec>emb", "emb>out")
    adopted = msgspec.structs.replace(
        ADOPTED, name="short", samples="/home/me/data/test.npz", labels=True, trust=True, custom_objects=("mine:Layer",)
    )
    facts = {"layer_graph": msgspec.to_builtins(model), FACT: adopted.to_json()}
    after, command = kept_in_app([obstacle("my vec")], facts)
    assert after == ("my vec",)
    assert command == (
        "tripoint adopt reviews.keras --after 'my vec' --name short --samples data/test.npz --labels --trust "
        "--custom-objects mine:Layer"
    )
    lines = [Line(target="edge/litert", precision="int8", outlook=Outlook.FAILS, obstacles=(obstacle("my vec"),))]
    (line,) = with_advice(lines, after=after, command=command)
    assert line.obstacles[0].helps.startswith(f"do it before; `{command}` ships the part behind `my vec`")


def test_a_function_is_named_as_it_was_given() -> None:
    model = graph("text>vec", "vec>emb", "emb>out")
    adopted = msgspec.structs.replace(ADOPTED, kind="builder", source="/home/me/make.py:reviews")
    facts = {"layer_graph": msgspec.to_builtins(model), FACT: adopted.to_json()}
    assert kept_in_app([obstacle("vec")], facts)[1] == "tripoint adopt make.py:reviews --after vec"


def test_of_a_part_the_layers_that_it_was_cut_behind_are_named_again_where_they_are_needed() -> None:
    """Without the first of them the command would be refused: the whole has no input of that name."""
    part = graph("ids>emb", "other>look", "emb>cat", "look>cat", "cat>out", inputs="ids other")
    facts = {
        "layer_graph": msgspec.to_builtins(part),
        FACT: msgspec.structs.replace(ADOPTED, after=("ids", "other")).to_json(),
    }
    after, command = kept_in_app([obstacle("look")], facts)
    assert after == ("look",)
    assert command == "tripoint adopt reviews.keras --after look --after ids"


def test_a_model_that_was_trained_here_has_no_such_command() -> None:
    assert kept_in_app([obstacle("vec")], {}) == ((), "")


def test_the_cut_that_is_advised_is_one_that_is_taken() -> None:
    model = graph("text>a", "text>b", "a>out", "b>c", "c>out")
    assert smallest_cut(model, {"a"}) == ("a", "text")
    with pytest.raises(UsageError):
        checked_cut(model, ["a"])
