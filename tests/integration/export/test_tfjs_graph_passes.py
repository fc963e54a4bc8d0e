"""What is done to a TF.js graph after its converter, on graphs of a few nodes. Browsers show the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from export.tfjs_booleans import widen_booleans
from export.tfjs_control_inputs import drop_control_inputs
from export.tfjs_fused import take_fusions_apart
from export.tfjs_graph import UnsupportedOperations, _check_operations
from export.tfjs_hard_swish import take_hard_swish_apart
from export.tfjs_one_hot import count_one_hot


def _graph(*nodes: tuple[str, str, list[str]]) -> Any:
    """Nodes by operation, name and inputs."""
    from tensorflow.core.framework import graph_pb2

    graph = graph_pb2.GraphDef()
    for operation, name, inputs in nodes:
        graph.node.add(op=operation, name=name, input=inputs)
    return graph


def _lines(graph: Any) -> list[str]:
    return sorted(f"{node.op} {node.name} {' '.join(node.input)}" for node in graph.node)


def test_hard_swish_is_written_out_and_computes_the_same() -> None:
    """Every MobileNetV3 failed in the browser on an operation that TF.js does not have."""
    import tensorflow as tf

    fused = _graph(("Placeholder", "x", []), ("_FusedHardSwish", "y", ["x"]))
    fused.node[0].attr["dtype"].type = fused.node[1].attr["T"].type = tf.float32.as_datatype_enum
    values = np.linspace(-5, 5, 41).astype(np.float32)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(take_hard_swish_apart(fused), name="")
        with tf.compat.v1.Session(graph=graph) as session:
            answer = session.run("y:0", {"x:0": values})
    np.testing.assert_allclose(answer, values * np.clip(values + 3, 0, 6) / 6, atol=1e-6)


def test_a_fusion_that_tfjs_lacks_is_refused() -> None:
    """The converter lets all of them pass, and the page alone would say so, to the app's user."""
    from export.tensorflowjs_import import graph_model_converter

    graph = _graph(("Placeholder", "x", []), ("_FusedMish", "y", ["x"]))
    with pytest.raises(UnsupportedOperations, match=r"TF\.js has no _FusedMish"):
        _check_operations(graph_model_converter(), graph)


def test_a_cast_to_a_type_that_tfjs_lacks_is_refused() -> None:
    """`quantize("float8")` passed the converter and preflight, and failed in the page."""
    import tensorflow as tf

    from export.tensorflowjs_import import graph_model_converter

    graph = _graph(("Placeholder", "x", []), ("Cast", "narrow", ["x"]), ("Cast", "whole", ["x"]))
    graph.node[1].attr["DstT"].type = tf.dtypes.experimental.float8_e4m3fn.as_datatype_enum
    graph.node[2].attr["DstT"].type = tf.int8.as_datatype_enum
    with pytest.raises(UnsupportedOperations, match=r"TF\.js has no Cast to float8_e4m3fn$") as refused:
        _check_operations(graph_model_converter(), graph)
    assert refused.value.nodes == {"Cast to float8_e4m3fn": ["narrow"]}


def test_no_control_input_is_left() -> None:
    """TF.js waits for them as for any input, and behind a Switch it waits for ever."""
    graph = _graph(
        ("Placeholder", "x", []),
        ("Switch", "switch", ["x", "x"]),
        ("NoOp", "begin", ["^switch"]),
        ("Const", "one", ["^begin"]),
        ("AddV2", "sum", ["switch:1", "one", "^begin"]),
    )
    drop_control_inputs(graph)
    assert _lines(graph) == [
        "AddV2 sum switch:1 one",
        "Const one ",
        "Placeholder x ",
        "Switch switch x x",
    ]


def test_a_constant_branch_waits_for_its_side() -> None:
    """TF.js's Merge takes the first input that is there, and a constant is always there."""
    graph = _graph(
        ("Placeholder", "x", []),
        ("Switch", "switch", ["x", "x"]),
        ("Identity", "no", ["switch"]),
        ("Identity", "yes", ["switch:1"]),
        ("NoOp", "begin", ["^no"]),
        ("Const", "one", ["^begin"]),
        ("Const", "two", ["^yes"]),
        ("Neg", "minus_two", ["two"]),
        ("Merge", "merge", ["one", "minus_two"]),
    )
    drop_control_inputs(graph)
    lines = _lines(graph)
    assert "Merge merge merge/constant_0 merge/constant_1" in lines
    assert "Identity merge/constant_0 one no" in lines
    assert "Identity merge/constant_1 minus_two yes" in lines


@pytest.mark.parametrize(
    ("steps", "bias", "stays"),
    [
        (["BiasAdd"], (4,), True),
        (["BiasAdd", "Relu"], (4,), True),
        (["BiasAdd", "Tanh"], (4,), False),
        (["BiasAdd"], (2, 4), False),
    ],
)
def test_only_what_every_backend_fuses_stays_fused(steps: list[str], bias: tuple[int, ...], stays: bool) -> None:  # noqa: FBT001
    """`h W + x U` and a Dense layer with tanh convert without a word, and fail at the first sample."""
    import tensorflow as tf

    graph = _graph(
        ("Placeholder", "x", []), ("Const", "w", []), ("Const", "b", []), ("_FusedMatMul", "y", ["x", "w", "b"])
    )
    graph.node[2].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.zeros(bias, np.float32)))
    graph.node[3].attr["fused_ops"].list.s.extend(step.encode() for step in steps)
    graph.node[3].attr["transpose_b"].b = True
    take_fusions_apart(graph)
    operations = {node.op for node in graph.node} - {"Placeholder", "Const"}
    assert operations == ({"_FusedMatMul"} if stays else {"MatMul", "AddV2", *steps[1:]})
    assert graph.node[-1].name == "y"
    assert next(node for node in graph.node if node.op.endswith("MatMul")).attr["transpose_b"].b


@pytest.mark.parametrize("operation", ["ReverseV2", "SelectV2", "StridedSlice"])
def test_booleans_are_integers_where_wasm_reads_four_bytes(operation: str) -> None:
    """On wasm it writes beyond a reversed mask, and whatever runs next answers nonsense or ends the page."""
    graph, kind = _booleans(operation, "DT_BOOL")
    widen_booleans(graph)
    made = {node.name: node for node in graph.node}
    assert made["y"].op == "Cast"
    inner = made[made["y"].input[0]]
    assert (inner.op, inner.attr["T"].type) == (operation, kind("DT_INT32"))
    values = [made[name] for name in inner.input if made[name].op == "Cast"]
    assert [one.attr["DstT"].type for one in values] == [kind("DT_INT32")] * (2 if operation == "SelectV2" else 1)


def test_numbers_are_left_alone() -> None:
    graph, _ = _booleans("ReverseV2", "DT_FLOAT")
    before = _lines(graph)
    widen_booleans(graph)
    assert _lines(graph) == before


@pytest.mark.parametrize(("on", "changed"), [(1.0, True), (0.9, False)])
def test_one_hot_rows_are_integers_where_they_can_be(on: float, changed: bool) -> None:  # noqa: FBT001
    """Wasm writes the bits of integers into floats: a 1 reads as 1.4e-45, and the answer is wrong without a word."""
    from tensorflow.core.framework import types_pb2

    graph = _graph(*(("Const", name, []) for name in ("i", "n", "on", "off")), ("OneHot", "y", ["i", "n", "on", "off"]))
    graph.node[4].attr["T"].type = types_pb2.DT_FLOAT
    count_one_hot(graph, {"on": np.array(on, np.float32), "off": np.array(0, np.float32)})
    made = {node.name: node for node in graph.node}
    assert made["y"].op == ("Cast" if changed else "OneHot")
    if changed:
        assert made["y"].attr["DstT"].type == types_pb2.DT_FLOAT
        assert made["y/whole"].attr["T"].type == types_pb2.DT_INT32


def _booleans(operation: str, dtype: str) -> tuple[Any, Callable[[str], int]]:
    from tensorflow.core.framework import types_pb2

    graph = _graph(("Placeholder", "a", []), ("Placeholder", "b", []), (operation, "y", ["a", "b", "b"]))
    graph.node[2].attr["T"].type = types_pb2.DataType.Value(dtype)
    return graph, types_pb2.DataType.Value
