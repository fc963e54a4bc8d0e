"""A large constant keeps its shape in the graph, its value beside it, and a pass that computed with it is found out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensorflow.core.framework import graph_pb2

from export.stand_ins import StandIns

VALUE = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def graph() -> Any:
    return graph_pb2.GraphDef(node=[{"name": "w", "op": "Const"}, {"name": "v", "op": "Const"}])


def test_the_value_is_beside_the_graph_and_the_shape_in_it(graph: Any) -> None:
    large = StandIns()
    large.conceal(graph.node[0], VALUE)
    tensor = graph.node[0].attr["value"].tensor
    assert [size.size for size in tensor.tensor_shape.dim] == [2, 3]
    assert graph.ByteSize() < 200
    np.testing.assert_array_equal(large.value(graph.node[0]), VALUE)
    assert large.lost(graph) == set()


def test_no_two_stand_ins_are_alike(graph: Any) -> None:
    """A pass that takes equal constants for one would give two layers the same weights."""
    large = StandIns()
    for node in graph.node:
        large.conceal(node, VALUE)
    first, second = (node.attr["value"].tensor for node in graph.node)
    assert first != second


def test_a_stand_in_is_known_under_another_name(graph: Any) -> None:
    """Optimizers give a constant the name of the Identity that read it."""
    large = StandIns()
    large.conceal(graph.node[0], VALUE)
    graph.node[0].name = "w/ReadVariableOp"
    assert large.lost(graph) == set()
    np.testing.assert_array_equal(large.value(graph.node[0]), VALUE)


@pytest.mark.parametrize("change", ["gone", "computed with", "another shape"])
def test_a_stand_in_that_is_not_what_it_was_is_lost(graph: Any, change: str) -> None:
    large = StandIns()
    large.conceal(graph.node[0], VALUE)
    match change:
        case "gone":
            del graph.node[0]
        case "computed with":
            graph.node[0].attr["value"].tensor.float_val[0] *= 2
        case _:
            graph.node[0].attr["value"].tensor.tensor_shape.dim[0].size = 3
    assert large.lost(graph) == {"w"}
