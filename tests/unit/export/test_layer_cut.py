"""Behind which layers a model can be cut; every refusal says what stands in the way and which options would do."""

from __future__ import annotations

import pytest

from export.layer_cut import checked_cut
from export.layer_graph import LayerGraph, Place
from pipeline.core.errors import UsageError

GRAPH = LayerGraph(
    model="reviews",
    places=(
        Place(name="text", takes=()),
        Place(name="stars", takes=()),
        Place(name="vectorize", takes=("text",)),
        Place(name="encoder", takes=("vectorize",), within=("embedding", "pool")),
        Place(name="states", takes=("vectorize",), gives=2),
        Place(name="first", takes=("states",)),
        Place(name="shared", takes=("encoder", "first"), calls=2),
        Place(name="scaled", takes=("stars",)),
        Place(name="joined", takes=("shared", "scaled", "stars")),
        Place(name="scores", takes=("joined",)),
    ),
    inputs=("text", "stars"),
    outputs=("scores",),
)


def test_an_input_that_feeds_nothing_in_front_stays_an_input() -> None:
    cut = checked_cut(GRAPH, ["vectorize"])
    assert (cut.after, cut.kept, cut.front) == (("vectorize",), ("stars",), ("text", "vectorize"))


def test_several_layers_are_cut_at_once_and_a_layer_named_twice_counts_once() -> None:
    cut = checked_cut(GRAPH, ["encoder", "first", "encoder"])
    assert cut.after == ("encoder", "first")
    assert cut.front == ("text", "vectorize", "encoder", "states", "first")


def test_an_input_that_is_named_stays_one_although_layers_in_front_read_it() -> None:
    cut = checked_cut(GRAPH, ["vectorize", "scaled", "stars"])
    assert (cut.after, cut.kept) == (("vectorize", "scaled"), ("stars",))


@pytest.mark.parametrize(
    ("after", "complaint", "mend"),
    [
        (["vectorise"], "the model has no such layer", "did you mean `vectorize`?"),
        (["zzz"], "the model has no such layer", "its layers are text, stars, vectorize"),
        (["pool"], "a layer of the submodel `encoder`", "--after encoder"),
        (["encoder/pool"], "a layer of the submodel `encoder`", "--after encoder"),
        (["shared"], "is used 2 times", "behind it: `joined`"),
        (["states"], "it has 2 outputs", "behind it: `first`"),
        (["scores"], "nothing lies behind", "a layer before it"),
        (["text"], "nothing would be left in front", "a layer that reads them"),
        (["vectorize", "joined"], "lies in front of `joined`, and nothing behind needs it", "leave vectorize out"),
        (
            ["vectorize", "scaled"],
            "`stars` is needed by the layer `joined` behind the cut",
            "--after stars keeps `stars`",
        ),
        (["encoder"], "`text` is needed by the layer `vectorize`", "--after encoder --after vectorize cuts these, too"),
    ],
)
def test_a_cut_that_cannot_be_is_refused_with_the_options_that_can(after: list[str], complaint: str, mend: str) -> None:
    with pytest.raises(UsageError) as refused:
        checked_cut(GRAPH, after)
    assert complaint in refused.value.problem
    assert mend in refused.value.hint


def test_a_model_whose_output_is_its_own_input_has_a_second_branch_to_the_output() -> None:
    graph = LayerGraph(
        model="m",
        places=(Place(name="x", takes=()), Place(name="a", takes=("x",)), Place(name="b", takes=("a",))),
        inputs=("x",),
        outputs=("b", "x"),
    )
    with pytest.raises(UsageError, match="`x` is needed by an output of the model") as refused:
        checked_cut(graph, ["a"])
    assert refused.value.hint == "--after a --after x keeps `x` as an input beside"
